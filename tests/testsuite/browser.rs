//! The report of a run, opened in a browser.

use std::path::Path;
use std::process::Command;

use crate::project::{Project, SUITE};

/// The exit code of `tests/browser/report.py` without Chromium.
const SKIPPED: i32 = 77;

/// A person can sort the tables, see the details of numbers, enlarge figures and read it all in light and dark, on a
/// phone, on paper and without the script; the page logs no errors and loads nothing.
#[test]
fn the_report_works_in_a_browser() {
    let project = Project::new();
    let more = "[[outputs]]\ntarget = \"table2\"\n\n[[outputs]]\ntarget = \"table3\"\nmethods = [\"balgrad-reweighting\", \
                \"balgrad\"]\n\n[[outputs]]\ntarget = \"figure7\"\nmethods = [\"balgrad-reweighting\", \"balgrad\"]\n";
    let method = "[[methods]]\nname = \"balgrad-reweighting\"\n\n[impairments.missing]";
    let suite = SUITE.replace("seeds = [1, 2]", "seeds = [1, 2, 3]").replace("[impairments.missing]", method) + more;
    project.write_suite(&suite);
    project.succeed(&["run", "tiny"]);
    let page = project.root.join("out/tiny/report.html");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.py");
    let output = Command::new("python3").arg("-B").arg(script).arg(page).output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(SKIPPED) {
        assert!(std::env::var_os("CI").is_none(), "CI installs Chromium");
        std::io::Write::write_all(&mut std::io::stderr(), log.as_bytes()).unwrap();
        return;
    }
    assert!(output.status.success(), "{log}{}", String::from_utf8_lossy(&output.stderr));
}

/// The report is made again from what the store holds; of a suite that never ran there is none, and it is said what to do.
#[test]
fn a_report_is_made_again() {
    let project = Project::new();
    let output = project.run(&["report", "tiny"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("the suite `tiny` has no results yet") && told.contains("run `seesaw run tiny`"), "{told}");
    project.succeed(&["run", "tiny"]);
    let file = project.root.join("out/tiny/report.html");
    let first = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let made: serde_json::Value = serde_json::from_str(&project.succeed(&["report", "tiny", "--json"])).unwrap();
    assert_eq!(made["missing"], serde_json::json!([]));
    assert!(std::fs::read_to_string(&file).unwrap() == first, "the same store gives the same report");
    // With other seeds planned, what was collected last is shown, and what is not there is said.
    project.write_suite(&SUITE.replace("seeds = [1, 2]", "seeds = [1, 2, 3]"));
    let told = project.succeed(&["report", "tiny"]);
    assert!(told.contains("not made: Steps that did not run: not run yet"), "{told}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("<code>train emoji-subgroup balgrad seed 3</code>"));
}
