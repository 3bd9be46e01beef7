// Experiment files that name other files.
#include <hdf5.h>

#include "store/experiment_file.hpp"
#include "store/folder.hpp"
#include "store/hdf5/file.hpp"
#include "store/made_up_run.hpp"

namespace weightscope {
namespace {

/// An experiment whose dataset "layer" is gone, and a file beside it that has one.
struct Forged {
  Folder run, other;
  hid_t file = -1;
  Forged() {
    for (const auto* folder : {&run, &other}) ExperimentFile::create(folder->path(), made_up_header());
    file = H5Fopen((run / "experiment.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    EXPECT_GE(H5Ldelete(file, "layer", H5P_DEFAULT), 0);
  }
  std::string elsewhere() const { return (other / "experiment.h5").string(); }
  void expect_refused(const std::string& why) {
    H5Fclose(file);
    expect_error(Fault::input, why, [&] { (void)inspect_experiment(run.path()); });
  }
  /// "layer" with these properties, four numbers.
  void make_layer(hid_t properties) const {
    const hsize_t length = 2;
    const hid_t space = H5Screate_simple(1, &length, nullptr);
    const hid_t made = H5Dcreate2(file, "layer", H5T_STD_I32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    EXPECT_GE(made, 0);
    H5Dclose(made), H5Sclose(space), H5Pclose(properties);
  }
};

}  // namespace

// The first test of this program: once it has opened a file, HDF5 cannot make such links any more.
TEST(HostileExperiment, FollowsNoLinkToAnotherFile) {
  const Folder folder;
  const auto make = [&](const char* name) {
    return H5Fcreate((folder / name).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  };
  const hid_t other = make("other.h5"), file = make("links.h5");
  const hsize_t length = 2;
  const hid_t space = H5Screate_simple(1, &length, nullptr);
  const hid_t made = H5Dcreate2(other, "layer", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  ASSERT_GE(
      H5Lcreate_external((folder / "other.h5").c_str(), "layer", file, "layer", H5P_DEFAULT, H5P_DEFAULT), 0);
  ASSERT_GE(H5Lcreate_hard(other, "layer", other, "again", H5P_DEFAULT, H5P_DEFAULT), 0);
  H5Dclose(made), H5Sclose(space), H5Fclose(file), H5Fclose(other);
  EXPECT_EQ(hdf5::File::open_to_read(folder / "other.h5").rows("again"), 2u);
  expect_error(Fault::input, "no dataset layer",
               [&] { (void)hdf5::File::open_to_read(folder / "links.h5").rows("layer"); });
}

TEST(HostileExperiment, TakesNoDataFromAnotherFile) {
  Forged external;
  const hid_t stored = H5Pcreate(H5P_DATASET_CREATE);
  EXPECT_GE(H5Pset_external(stored, external.elsewhere().c_str(), 0, 8), 0);
  external.make_layer(stored);
  external.expect_refused("takes its data from other files");

  Forged made_of_others;
  const hsize_t length = 2;
  const hid_t mapped = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &length, nullptr);
  EXPECT_GE(H5Pset_virtual(mapped, space, made_of_others.elsewhere().c_str(), "layer", space), 0);
  H5Sclose(space);
  made_of_others.make_layer(mapped);
  made_of_others.expect_refused("takes its data from other files");
}

TEST(HostileExperiment, HasAPossibleNumberOfLayers) {
  Forged forged;
  const hsize_t length = 1ULL << 40, chunk = 1024;
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &length, nullptr);
  H5Pset_chunk(properties, 1, &chunk);
  const hid_t made =
      H5Dcreate2(forged.file, "layer", H5T_STD_I32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  EXPECT_GE(made, 0);
  H5Dclose(made), H5Sclose(space), H5Pclose(properties);
  forged.expect_refused("layer is impossibly long");
}

}  // namespace weightscope
