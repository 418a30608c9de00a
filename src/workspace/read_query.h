// What a source that is asked says of its rows: the keys of a file of sources/ from `query` on.
#pragma once

#include "sources/query/spec.h"
#include "workspace/yaml.h"

namespace tailrace::workspace {

sources::QuerySpec read_query_spec(Fields& fields, Problems& problems);

}  // namespace tailrace::workspace
