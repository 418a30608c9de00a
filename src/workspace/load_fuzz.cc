// Any bytes as each file of a workspace: problems may come of it, a crash may not; and what is free of errors
// survives its normal form. The first byte chooses the file.
#include <cstdint>
#include <cstdlib>

#include "model/json.h"
#include "workspace/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  constexpr const char* kNames[] = {"tailrace.yaml",   "taxonomy.yaml",      "definitions.yaml",
                                    "attributes.yaml", "segments/fuzz.yaml", "destinations/fuzz.yaml",
                                    "syncs/fuzz.yaml", "sources/fuzz.yaml"};
  if (size == 0) return 0;
  const char* name = kNames[data[0] % std::size(kNames)];
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<workspace::SourceFile> files{{name, text}};
  if (data[0] % std::size(kNames) != 0) files.push_back({"tailrace.yaml", "name: fuzz\n"});
  const workspace::Loaded loaded = workspace::load_files(files, destinations::registry());
  for (const workspace::FileProblem& problem : loaded.problems) workspace::render("/nonexistent", problem);
  if (!loaded.ok()) return 0;
  const std::string normal = to_json(workspace::to_value(loaded.workspace));
  const auto value = parse_json(normal);
  const auto back = value ? workspace::from_value(*value) : std::unexpected(value.error());
  if (!back || to_json(workspace::to_value(*back)) != normal) std::abort();
  return 0;
}
