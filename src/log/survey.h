// Looks at the files of a log without changing them: where it ends, what is torn, what is damaged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "log/frame.h"
#include "log/frame_scanner.h"

namespace tailrace::log {

constexpr const char* kLeftoverSuffix = ".log.tmp";

std::string path_in(const std::string& directory, const std::string& name);

// What a walk over the frames of a file has seen.
struct Walk {
  std::uint64_t end = kFileHeaderBytes;  // offset behind the last whole frame
  std::uint64_t last_commit = 0;         // offset of the first frame of the last commit seen
  std::uint64_t records = 0;             // counted on from records_before
  Time received_at = kForeverAgo;        // of the last record, received_before when there is none
};

// Walks the frames from so_far.end on, up to the first that is not whole, and counts on from so_far.
Result<Walk> walk_frames(FrameScanner& scanner, std::uint64_t size, Walk so_far);

// What lies in a file from an offset on (a multiple of 8) where no whole frame begins.
struct Rest {
  enum class Kind {
    zeros,   // nothing: space allocated ahead
    torn,    // a commit that did not reach the disk whole, so that it was never acknowledged
    damage,  // it was on disk once: a whole frame of a later commit follows
  };
  Kind kind = Kind::zeros;
  std::uint64_t bytes = 0;       // up to the last byte that is not zero
  std::uint64_t next_frame = 0;  // offset of the next whole frame; 0 when there is none
};
Result<Rest> look_at_rest(const File& file, Position first, std::uint64_t offset, std::uint64_t size);

struct Survey {
  std::vector<Position> files;         // first positions, ascending
  std::vector<Position> plain;         // those of them that are sealed and not compressed
  std::vector<std::string> leftovers;  // names of unfinished rewrites
  bool header_missing = false;         // the last file was being created; it holds nothing yet
  FileHeader last_header;              // of the last file, also when it has to be written anew
  std::uint64_t last_size = 0;         // of the last file, space allocated ahead included
  std::uint64_t torn_bytes = 0;        // behind walk.end
  Walk walk;                           // over the last file
};

// Reads the header of every file and the frames of the last. Errors: corrupt, with file and offset;
// unsupported (a newer format); io. A directory without log files is an empty survey.
// survey_headers leaves out the frames of the last file.
Result<Survey> survey_headers(Disk& disk, const std::string& directory);
Result<Survey> survey(Disk& disk, const std::string& directory);

// The error for bytes that are not what the format says, at an offset of a file.
Error damage_at(const std::string& path, std::uint64_t offset, const std::string& what);

}  // namespace tailrace::log
