// People as they are shown: so that its owner knows an address or a number, and nobody else.
#pragma once

#include <string>
#include <string_view>

#include "base/id.h"
#include "model/person.h"

namespace tailrace::engine {
class Engine;
}

namespace tailrace::cli {

// "a***@example.com", "***18". Other names of people as they are. "" becomes "(deleted)".
std::string masked(std::string_view name, bool is_phone);
bool names_a_device(IdentifierKind kind);  // a phone, or what is hidden as one
// The one that names the person outwards, whatever its kind: somebody of whom no user id is known may be
// named by a phone.
std::string masked_name(const PersonProfile& profile);
std::string masked_name(const engine::Engine& engine, PersonId person);

}  // namespace tailrace::cli
