#include "base/whole_file.h"

namespace tailrace {

Result<std::string> read_whole(Disk& disk, const std::string& path) {
  const auto file = TRY(disk.open(path, Disk::Mode::read));
  std::string bytes(TRY(file->size()), '\0');
  const std::size_t got = TRY(file->read_at(0, bytes));
  bytes.resize(got);
  return bytes;
}

Result<void> write_whole(Disk& disk, const std::string& directory, const WholeFile& file,
                         std::string_view bytes, std::string_view more) {
  const std::string path = directory + "/" + std::string(file.name);
  const std::string beside = path + std::string(file.suffix);
  if (disk.exists(beside)) TRY(disk.remove(beside));
  {
    const auto opened = TRY(disk.open(beside, Disk::Mode::create_or_open));
    TRY(opened->write_at(0, bytes));
    if (!more.empty()) TRY(opened->write_at(bytes.size(), more));
    TRY(opened->sync());
  }
  TRY(disk.rename(beside, path));
  return disk.sync_directory(directory);
}

}  // namespace tailrace
