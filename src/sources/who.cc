#include "sources/who.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "sources/json_object.h"

namespace tailrace::sources {

Result<void> Who::check() const {
  if (is_nobody()) return invalid("it names nobody");
  for (const std::string* id : {&user_id, &anonymous_id, &email, &phone}) {
    if (id->size() > kIdentifierBytesMax)
      return invalid(
          fmt::format("an identifier has {} bytes; send at most {}", id->size(), kIdentifierBytesMax));
  }
  return {};
}

std::string Who::contact() const {
  if (has_id() || is_nobody()) return {};
  return email.empty() ? JsonText().text("phone", phone).take() : JsonText().text("email", email).take();
}

std::string Who::context() const {
  const std::string named = contact();
  return named.empty() ? named : JsonText().raw("traits", named).take();
}

Result<void> Who::make_known(Time time, RecordList& records) const {
  const std::string traits = contact();
  if (traits.empty()) return {};
  const std::string message_id = "contact:" + sha256_hex(traits).substr(0, 32);
  RecordView record;
  record.kind = RecordKind::identify;
  record.time = time;
  record.message_id = message_id;
  record.payload = traits;
  return records.add(record);
}

}  // namespace tailrace::sources
