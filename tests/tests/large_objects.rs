//! Large objects: libpq reads and writes them by function calls (manual, "Function Call Sub-Protocol"),
//! whose arguments and results are as big as the client likes.

use std::fs;

use e2e::Stage;
use e2e::drivers::Endpoint;
use testkit::Cluster;

/// Odd in size, so that the last piece is a short one; every byte differs from its neighbours.
const SIZE: usize = 3_000_001;

#[test]
fn a_large_object_comes_back_as_it_went() {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = Endpoint::direct(cluster, "large_objects");
        let stage = Stage::before(cluster).user(&direct).start();
        let endpoint = stage.endpoint(&direct);
        let directory = tempfile::tempdir().expect("a directory");
        let (there, back) = (
            directory.path().join("there"),
            directory.path().join("back"),
        );
        let bytes: Vec<u8> = (0..SIZE)
            .map(|at| ((at * 31) >> 3) as u8 ^ at as u8)
            .collect();
        fs::write(&there, &bytes).expect("a file");
        let import = format!("\\lo_import '{}'", there.display());
        // psql's variable LASTOID is the object's id.
        let oid = endpoint.psql(&[&import, "\\echo :LASTOID"]).says();
        let export = format!("\\lo_export {oid} '{}'", back.display());
        // Each way once with the proxy and once without.
        for reader in [&endpoint, &direct] {
            reader.psql(&[&export]).says();
            assert!(
                fs::read(&back).expect("a file") == bytes,
                "other bytes came back"
            );
            fs::remove_file(&back).expect("the file");
        }
        endpoint.psql(&[&format!("\\lo_unlink {oid}")]).says();
        endpoint.psql(&[&export]).complains("does not exist");
    }
}
