use super::*;
use crate::testing::read_zips;

fn read(options: &str) -> anyhow::Result<Dataset> {
    let split = br#"{"train": ["0000001", "0000002", "0000003", "0000004"], "dev": ["0000005"], "test": ["0000006", "0000009"]}"#;
    let film =
        |genres: &str, plot: &str| format!(r#"{{"title": "T", "genres": {genres}, "plot": {plot}, "year": 1999}}"#);
    let films = [
        (
            "1",
            film(
                r#"["Western", "News", "Drama"]"#,
                r#"["Short.", "A longer plot.::Somebody", "As long a plot.::Somebody"]"#,
            ),
        ),
        ("2", film(r#"["News"]"#, r#"["A plot."]"#)),
        ("3", film(r#"["Film-Noir"]"#, "[]")),
        ("4", "{ not JSON".to_owned()),
        ("5", film(r#"["Comedy"]"#, r#""One plot as text.""#)),
        ("6", film(r#"["Drama"]"#, r#"["The test."]"#)),
        ("7", film(r#"["Drama"]"#, r#"["In no split."]"#)),
    ];
    let names: Vec<(String, String)> = films
        .iter()
        .map(|(id, _)| (format!("mmimdb/dataset/000000{id}.json"), format!("mmimdb/dataset/000000{id}.jpeg")))
        .collect();
    let mut members: Vec<(&str, &[u8])> = vec![("mmimdb/split.json", split)];
    for ((json, jpeg), (_, film)) in names.iter().zip(&films) {
        members.extend([(json.as_str(), film.as_bytes()), (jpeg.as_str(), b"jpeg".as_slice())]);
    }
    read_zips("mm-imdb", options, &[(ARCHIVE, &members)])
}

#[test]
fn films_have_the_authors_genres_and_one_plot() {
    let dataset = read("").unwrap();
    insta::assert_debug_snapshot!(dataset);
    let first = read("plot = \"first\"").unwrap();
    assert_eq!(first.splits[&Split::Train].texts, ["Short."]);
}

#[test]
fn the_first_of_equally_long_plots_is_taken() {
    let plots = Plots::Several(vec!["ab".into(), "é!".into(), "c".into()]);
    assert_eq!(plots.choose(Plot::Longest).unwrap(), "ab");
    assert_eq!(Plots::None.choose(Plot::Longest), None);
}
