// TLS on both sides: HttpServer with a certificate of its own, HttpClient with the authority that made it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/test_socket.h"

namespace tailrace::io {
namespace {

using testing::HasSubstr;

// Writes a key, and a certificate for 127.0.0.1 that it has signed itself.
void write_identity(const std::string& certificate_file, const std::string& key_file) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("tailrace test"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  X509_EXTENSION* const names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate.get(), names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const auto write = [](const std::string& path, const std::function<int(std::FILE*)>& put) {
    // Beside and renamed, as tools that renew certificates do.
    std::FILE* const file = std::fopen((path + ".new").c_str(), "w");
    TR_ASSERT(file != nullptr && put(file) == 1 && std::fclose(file) == 0);
    std::filesystem::rename(path + ".new", path);
  };
  write(key_file, [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  write(certificate_file, [&](std::FILE* file) { return PEM_write_X509(file, certificate.get()); });
}

class Tls : public ::testing::Test {
 protected:
  Tls() {
    std::string name = ::testing::TempDir() + "tailrace-tls-XXXXXX";
    directory_ = mkdtemp(name.data());
    write_identity(file("certificate"), file("key"));
    client_ = *HttpClient::start({});
  }
  ~Tls() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name) const { return directory_ + "/" + name; }
  Result<std::unique_ptr<HttpServer>> try_serve(Millis read_timeout = Millis{10'000}) {
    ListenOptions options;
    options.port = 0;
    options.read_timeout = read_timeout;
    options.certificate_file = file("certificate");
    options.key_file = file("key");
    return HttpServer::start(options, [](HttpRequest& request, std::unique_ptr<Responder> responder) {
      responder->respond({200, {}, request.body});
    });
  }
  Result<HttpResponse> post(const HttpServer& server, std::string body, const std::string& authority) {
    std::promise<Result<HttpResponse>> answer;
    client_->send({"POST", "https://127.0.0.1:" + std::to_string(server.port()) + "/", {}, std::move(body)},
                  {.private_addresses = true, .ca_file = authority},
                  [&](Result<HttpResponse> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }

  std::string directory_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(Tls, carries_requests_of_any_size_to_whom_the_authority_has_signed) {
  const auto server = try_serve();
  ASSERT_TRUE(server) << server.error().message;
  for (const std::size_t size : {0u, 10u, 70'000u, 3'000'000u}) {
    const std::string body(size, 'x');
    const auto answer = post(**server, body, file("certificate"));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, body);
  }
}

TEST_F(Tls, of_an_unknown_authority_is_refused_by_the_client) {
  const auto server = try_serve();
  ASSERT_TRUE(server);
  EXPECT_FALSE(post(**server, "", ""));
  write_identity(file("other"), file("other-key"));
  EXPECT_FALSE(post(**server, "", file("other")));
}

TEST_F(Tls, takes_a_renewed_certificate_without_a_restart_and_keeps_the_old_one_when_it_is_broken) {
  const auto server = try_serve();
  ASSERT_TRUE(server);
  std::filesystem::copy_file(file("certificate"), file("old"));
  std::ofstream(file("certificate")) << "no certificate";
  // A new client each time, as connections that are open keep what they were made with.
  const auto works_with = [&](const std::string& authority) {
    client_ = *HttpClient::start({});
    return post(**server, "", authority).has_value();
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  while (std::chrono::steady_clock::now() < until) ASSERT_TRUE(works_with(file("old")));
  write_identity(file("certificate"), file("key"));
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!works_with(file("certificate")) && std::chrono::steady_clock::now() < patience) {
  }
  EXPECT_TRUE(works_with(file("certificate")));
  EXPECT_FALSE(works_with(file("old")));
}

// The version both sides agree on; "" when they do not.
std::string version_spoken(std::uint16_t port, int newest) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), newest);
  TestSocket socket = TestSocket::connect(port);
  const std::unique_ptr<SSL, decltype(&SSL_free)> connection(SSL_new(context.get()), &SSL_free);
  SSL_set_fd(connection.get(), socket.descriptor());
  return SSL_connect(connection.get()) == 1 ? SSL_get_version(connection.get()) : "";
}

TEST_F(Tls, is_spoken_from_version_1_2_on) {
  const auto server = try_serve();
  ASSERT_TRUE(server);
  EXPECT_EQ(version_spoken((*server)->port(), TLS1_3_VERSION), "TLSv1.3");
  EXPECT_EQ(version_spoken((*server)->port(), TLS1_2_VERSION), "TLSv1.2");
  EXPECT_EQ(version_spoken((*server)->port(), TLS1_1_VERSION), "");
  EXPECT_EQ(version_spoken((*server)->port(), TLS1_VERSION), "");
}

TEST_F(Tls, is_not_waited_for_longer_than_for_a_request) {
  const auto server = try_serve(Millis{50});
  ASSERT_TRUE(server);
  TestSocket silent = TestSocket::connect((*server)->port());
  EXPECT_EQ(silent.read_to_end(), "");
  TestSocket plain = TestSocket::connect((*server)->port());
  plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(plain.read_to_end().find("HTTP/1.1"), std::string::npos);
}

TEST_F(Tls, says_which_file_it_cannot_use) {
  write_identity(file("other"), file("key"));  // the key is not the certificate's any more
  EXPECT_THAT(try_serve().error().message, HasSubstr(file("key")));
  std::filesystem::remove(file("certificate"));
  EXPECT_THAT(try_serve().error().message, HasSubstr(file("certificate")));
}

}  // namespace
}  // namespace tailrace::io
