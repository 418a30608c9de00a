// Whom a message is of, as its source names them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "sources/raw_records.h"

namespace tailrace::sources {

// By a user id; without one, by an anonymous id; without both, by an e-mail or phone (profiles/profiles.h).
struct Who {
  std::string user_id = {};
  std::string anonymous_id = {};
  std::string email = {};
  std::string phone = {};

  bool has_id() const { return !user_id.empty() || !anonymous_id.empty(); }
  bool is_nobody() const { return !has_id() && email.empty() && phone.empty(); }
  // Errors: invalid_argument (an id that is too long, or nobody).
  Result<void> check() const;
  // What names them where no id does, as JSON: {"email":...}; empty where one does.
  std::string contact() const;
  // JSON of a record's context that names them so; empty where an id does.
  std::string context() const;
  // Puts the ids into the record; they are lent.
  void name(RecordView& record) const {
    record.user_id = user_id;
    record.anonymous_id = anonymous_id;
  }
  // Whoever has no id is known by their contact from then on, and has it as a trait. The record has the same
  // message id every time, so that it counts once within the window of de-duplication.
  Result<void> make_known(Time time, RecordList& records) const;
};

}  // namespace tailrace::sources
