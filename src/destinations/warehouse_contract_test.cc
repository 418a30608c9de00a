// What holds for every destination in the registry that keeps tables. That a pack is there once after a kill
// at any step is tested in its own folder, where its stand-in is.
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "destinations/warehouse_destination.h"
#include "support/scripted_transport.h"

namespace tailrace::destinations {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kRawEmail = "ada.lovelace@example.com";

// No example stands in a description: it would be a key.
const std::string& private_key() {
  static const std::string kPem = [] {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(2048), &EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(out.get(), &bytes);
    return std::string(bytes, static_cast<std::size_t>(length));
  }();
  return kPem;
}

class WarehouseContract : public ::testing::TestWithParam<const WarehouseDestination*> {
 protected:
  WarehouseContract() : destination_(*GetParam()) {
    for (const Setting& setting : destination_.settings()) {
      if (!setting.example.empty())
        (setting.secret ? config_.secrets : config_.settings)[std::string(setting.name)] = setting.example;
      if (setting.name == "private_key") {
        config_.secrets["private_key"] = private_key();
      } else if (setting.required) {
        EXPECT_NE(setting.example, "") << setting.name << " has no example";
      }
    }
    fill_defaults(destination_, config_);
  }

  // The error of a load, and of the probe, in a world of these answers.
  std::vector<Error> errors_in(const std::function<Result<HttpResponse>(const HttpRequest&)>& server) {
    std::vector<Error> errors;
    const testing::TestPack pack =
        testing::make_pack(1, {{{{"message_id", "m1"}, {"name", std::string(kRawEmail)}}}},
                           {{{"person", "1"}, {"email", std::string(kRawEmail)}}});
    for (const bool probing : {false, true}) {
      testing::ScriptedTransport transport;
      transport.server = [&](const HttpRequest& request) {
        requests_.push_back(request);
        return server(request);
      };
      transport.sql_server = [](const std::string&) -> Result<std::unique_ptr<SqlSession>> {
        return fail(Error::Code::unavailable, "nobody answers");
      };
      transport.add(pack);
      const auto done =
          probing ? destination_.probe(config_, transport) : destination_.load(pack.pack, config_, transport);
      if (!done) errors.push_back(done.error());
      for (const Millis wait : transport.waits) waited_ = waited_ + wait;
    }
    return errors;
  }

  const WarehouseDestination& destination_;
  Config config_;
  std::vector<HttpRequest> requests_;
  Millis waited_;
};

TEST_P(WarehouseContract, is_found_by_its_type_and_has_names_that_differ) {
  EXPECT_EQ(find_warehouse_destination(destination_.type()), &destination_);
  EXPECT_EQ(destination_.as_audience(), nullptr);
  EXPECT_EQ(destination_.as_events(), nullptr);
  std::set<std::string_view> names;
  for (const Setting& setting : destination_.settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_NE(setting.about, "") << setting.name;
    EXPECT_TRUE(!setting.secret || setting.default_value.empty()) << setting.name;
  }
}

TEST_P(WarehouseContract, its_defaults_and_examples_are_free_of_problems) {
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
  for (auto& [name, value] : config_.secrets) value.clear();
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
}

TEST_P(WarehouseContract, refuses_urls_that_would_send_tokens_in_the_clear) {
  for (const Setting& setting : destination_.settings()) {
    if (!setting.name.ends_with("url")) continue;
    std::string& url = config_.settings[std::string(setting.name)];
    const std::string before = url;
    for (const auto* bad : {"http://example.com", "ftp://example.com", "https://",
                            "https://user:word@example.com", "https://example.com/a b", "example.com"}) {
      url = bad;
      EXPECT_EQ(destination_.check(config_).size(), 1u) << setting.name << " " << bad;
    }
    url = before;
  }
}

TEST_P(WarehouseContract, nobody_who_answers_is_tried_again_later) {
  for (const Error& error : errors_in([](const HttpRequest&) -> Result<HttpResponse> {
         return fail(Error::Code::unavailable, "nobody answers");
       })) {
    EXPECT_EQ(error.code, Error::Code::unavailable) << error.message;
  }
  EXPECT_LE(waited_, kHour);
}

TEST_P(WarehouseContract, a_server_in_trouble_is_tried_again_later) {
  for (const int status : {429, 500, 502, 503}) {
    for (const std::string body : {"", "<html>busy</html>", "{}"}) {
      for (const Error& error : errors_in([&](const HttpRequest&) { return HttpResponse{status, {}, body}; }))
        EXPECT_EQ(error.code, Error::Code::unavailable) << status << " " << body << ": " << error.message;
    }
  }
}

TEST_P(WarehouseContract, a_refusal_stops_and_says_why) {
  for (const int status : {400, 401, 403}) {
    for (const Error& error : errors_in([&](const HttpRequest&) { return HttpResponse{status, {}, ""}; })) {
      if (error.message.find("nobody answers") != std::string::npos) continue;  // it has no server over HTTP
      EXPECT_NE(error.code, Error::Code::unavailable) << status << ": " << error.message;
      EXPECT_NE(error.message, "") << status;
    }
  }
}

TEST_P(WarehouseContract, survives_answers_that_make_no_sense_and_never_takes_them_for_success) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  for (const std::string& body : {std::string("null"), std::string("[]"), std::string("{\"status\":7}"),
                                  std::string("{\"error\":{\"message\":5}}"), std::string("<Error><Code>"),
                                  deep, std::string("\0\xff\xfe", 3)}) {
    for (const int status : {-1, 0, 100, 299, 302, 418, 1000}) {
      const auto errors = errors_in([&](const HttpRequest&) { return HttpResponse{status, {}, body}; });
      EXPECT_EQ(errors.size(), 2u) << status << " " << body.substr(0, 40);
    }
  }
}

TEST_P(WarehouseContract, repeats_no_secret_and_nothing_of_a_row) {
  for (const int status : {200, 400, 401, 403, 404, 409, 422, 500}) {
    const std::string body =
        fmt::format(R"({{"message":"{0}","error":{{"message":"{0}","errors":[{{"reason":"{0}"}}]}}}})",
                    "secret- " + std::string(kRawEmail));
    for (const Error& error : errors_in([&](const HttpRequest&) { return HttpResponse{status, {}, body}; })) {
      EXPECT_THAT(error.message, Not(HasSubstr("secret"))) << status;
      EXPECT_THAT(error.message, Not(HasSubstr(std::string(kRawEmail)))) << status;
    }
  }
  for (const HttpRequest& request : requests_) {
    EXPECT_THAT(request.url, Not(HasSubstr("secret-")));
    const HttpRequest shown = masked(request, config_);
    std::string text = shown.url;
    for (const auto& [name, value] : shown.headers) text += "\n" + name + ": " + value;
    EXPECT_THAT(text, Not(HasSubstr("secret-")));
  }
}

TEST_P(WarehouseContract, sends_the_same_bytes_twice) {
  const auto dead = [](const HttpRequest&) { return HttpResponse{503, {}, ""}; };
  errors_in(dead);
  const std::vector<HttpRequest> once = std::move(requests_);
  requests_.clear();
  errors_in(dead);
  ASSERT_EQ(once.size(), requests_.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].url, requests_[i].url);
    EXPECT_EQ(once[i].headers, requests_[i].headers);
    EXPECT_EQ(once[i].body, requests_[i].body);
  }
}

INSTANTIATE_TEST_SUITE_P(Destinations, WarehouseContract, ::testing::ValuesIn(warehouse_destinations()),
                         [](const auto& test) { return std::string(test.param->type()); });

}  // namespace
}  // namespace tailrace::destinations
