#include "io/tls_files.h"

#include <system_error>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace tailrace::io {
namespace {

namespace ssl = boost::asio::ssl;
constexpr std::chrono::seconds kLookEvery{1};

std::filesystem::file_time_type changed_at(const std::string& path) {
  std::error_code missing;
  const auto at = std::filesystem::last_write_time(path, missing);
  return missing ? std::filesystem::file_time_type::min() : at;
}

}  // namespace

TlsFiles::Seen TlsFiles::look() const { return {changed_at(certificate_), changed_at(key_)}; }

Result<std::shared_ptr<ssl::context>> TlsFiles::load() const {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  boost::system::error_code error;
  context->use_certificate_chain_file(certificate_, error);
  if (error)
    return invalid(fmt::format("the TLS certificate {} cannot be used: {}", certificate_, error.message()));
  context->use_private_key_file(key_, ssl::context::pem, error);
  if (error) {
    return invalid(
        fmt::format("the TLS key {} cannot be used, or is not the certificate's: {}", key_, error.message()));
  }
  if (SSL_CTX_check_private_key(context->native_handle()) != 1)
    return invalid(fmt::format("the TLS key {} is not that of the certificate {}", key_, certificate_));
  return context;
}

Result<std::unique_ptr<TlsFiles>> TlsFiles::open(std::string certificate, std::string key) {
  std::unique_ptr<TlsFiles> files(new TlsFiles(std::move(certificate), std::move(key)));
  files->seen_ = files->look();
  files->context_ = TRY(files->load());
  files->look_at_ = std::chrono::steady_clock::now() + kLookEvery;
  return files;
}

std::shared_ptr<ssl::context> TlsFiles::context() {
  const auto now = std::chrono::steady_clock::now();
  if (now < look_at_) return context_;
  look_at_ = now + kLookEvery;
  if (const Seen seen = look(); seen != seen_) {
    seen_ = seen;
    if (auto loaded = load()) {
      context_ = std::move(*loaded);
      spdlog::info("the TLS certificate {} was read anew", certificate_);
    } else {
      spdlog::error("{}; the one before stays in use", loaded.error().message);
    }
  }
  return context_;
}

}  // namespace tailrace::io
