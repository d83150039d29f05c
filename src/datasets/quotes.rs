//! CSV with quotes that belong to the text. A quote at the beginning of a field opens it, and everything up to the next
//! quote becomes its text: other rows, their files and classes among it, if that quote is the first of a title.

/// The same CSV in which every quote that opens no field is escaped. A field is quoted if its closing quote stands before a
/// comma or the end of a line, and if no line inside of it `is_row`.
pub(super) fn escaped(csv: &str, is_row: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(csv.len());
    let mut rest = csv;
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|inside| {
            let end = end_of_quoted(inside)?;
            let lines: Vec<&str> = inside[..end].split('\n').collect();
            // The first and the last line of the field are parts of its own row.
            let inner = lines.get(1..lines.len() - 1).unwrap_or_default();
            let swallowed = inner.iter().any(|line| is_row(line.trim_end_matches('\r')));
            (!swallowed).then_some(end + 2)
        });
        match quoted {
            Some(end) => out.push_str(&rest[..end]),
            None => {
                let field = &rest[..rest.find([',', '\n', '\r']).unwrap_or(rest.len())];
                match field.starts_with('"') {
                    true => out.push_str(&format!("\"{}\"", field.replace('"', "\"\""))),
                    false => out.push_str(field),
                }
            }
        }
        rest = &rest[quoted.unwrap_or_else(|| rest.find([',', '\n', '\r']).unwrap_or(rest.len()))..];
        // What ends the field.
        let ends = rest.chars().next().map_or(0, char::len_utf8);
        out.push_str(&rest[..ends]);
        rest = &rest[ends..];
    }
    out
}

/// The position of the quote that closes a field whose opening quote stands before `inside`.
fn end_of_quoted(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    loop {
        at += inside[at..].find('"')?;
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            None | Some(b',' | b'\n' | b'\r') => return Some(at),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(csv: &str) -> Vec<Vec<String>> {
        let csv = escaped(csv, |line| line.split(',').count() == 3 && line.contains(".jpg,"));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    /// A stray quote is a part of its title, and costs no row.
    #[test]
    fn a_stray_quote_swallows_no_rows() {
        for (csv, titles) in [
            ("1.jpg,\"Best pie,pie\n2.jpg,b,pie\n3.jpg,c,pie\n", ["\"Best pie", "b", "c"]),
            ("1.jpg,\"Best pie,pie\n2.jpg,b,pie\n3.jpg,12\" pie,pie\n", ["\"Best pie", "b", "12\" pie"]),
            ("1.jpg,\"Best pie,pie\r\n2.jpg,b,pie\r\n3.jpg,pie 12\",pie\r\n", ["\"Best pie", "b", "pie 12\""]),
            ("1.jpg,\"Best\" pie,pie\n2.jpg,\"b\",pie\n3.jpg,c,pie", ["\"Best\" pie", "b", "c"]),
            ("1.jpg,a,pie\n2.jpg,b,pie\n3.jpg,\"c,pie", ["a", "b", "\"c"]),
        ] {
            let rows = rows(csv);
            assert_eq!(rows.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(), titles, "{csv}");
            assert!(rows.iter().all(|row| row.len() == 3 && row[2] == "pie"), "{rows:?}");
        }
    }

    #[test]
    fn quoted_fields_stay_as_they_are() {
        let csv = "1.jpg,\"Best \"\"pie\"\"\nof the year, or\nnearly\",pie\n2.jpg,\"Hot, hot\",pie\n3.jpg,\"\",pie\n";
        assert_eq!(escaped(csv, |_| false), csv);
        assert_eq!(rows(csv)[0][1], "Best \"pie\"\nof the year, or\nnearly");
    }

    proptest! {
        /// What a CSV writer writes is read back, unless a text holds whole rows.
        #[test]
        fn proper_csv_is_read_back(fields in proptest::collection::vec("[a-c\",\n\r 1é]{0,8}", 3..4)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let csv = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(escaped(&csv, |_| false), csv);
        }
    }
}
