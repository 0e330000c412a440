//! Every kind of file that the reader accepts or refuses, written to a temporary folder.

use std::fmt::Write as _;

use super::*;

/// Reads `contents` as a file with the target `y`.
fn read(contents: impl AsRef<[u8]>) -> Result<Table, DataError> {
    read_as(contents, TargetKind::Detect)
}

fn read_as(contents: impl AsRef<[u8]>, kind: TargetKind) -> Result<Table, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, contents).unwrap();
    read_table_as(&path, "y", kind)
}

/// What the error says after the file's name.
fn message(contents: impl AsRef<[u8]>) -> String {
    let error = read(contents).unwrap_err();
    let text = error.to_string();
    let file = format!("{}: ", error.file.display());
    assert!(error.file.ends_with("table.csv"), "{text}");
    text.strip_prefix(&file).unwrap().to_string()
}

fn classes(table: &Table) -> (Vec<usize>, Vec<&str>) {
    match &table.target {
        Target::Classes { labels, names } => (labels.clone(), names.iter().map(String::as_str).collect()),
        Target::Numbers(_) => panic!("numbers, not classes"),
    }
}

fn numbers(table: &Table) -> &[f32] {
    match &table.target {
        Target::Numbers(numbers) => numbers,
        Target::Classes { .. } => panic!("classes, not numbers"),
    }
}

/// Every spelling of the same table: separator, line end, last line end, byte order mark, quotes,
/// blanks around cells, blank lines, place of the target.
#[test]
fn every_spelling_reads_the_same() {
    let values = [[1.5f32, -2.0, 0.25], [1e-3, 4.0, 5e6], [7.0, 8.0, -9.5]];
    let species = ["b", "a", "b"];
    let mut read_so_far = 0;
    for separator in [",", ";", "\t"] {
        for line_end in ["\n", "\r\n", "\r"] {
            for spelling in 0..64u32 {
                let option = |bit: u32| spelling >> bit & 1 == 1;
                let target_at = if option(0) { 0 } else { 3 };
                let quote = if option(1) { "\"" } else { "" };
                let blank = if option(2) { " " } else { "" };
                // A quote is one only at the very start of a cell.
                let blank_before = if option(1) { "" } else { blank };
                let mut text = String::from(if option(3) { "\u{feff}" } else { "" });
                for row in 0..4 {
                    let mut cells: Vec<String> = match row {
                        0 => vec!["first".into(), "second".into(), "third".into()],
                        _ => values[row - 1].iter().map(f32::to_string).collect(),
                    };
                    cells.insert(target_at, if row == 0 { "y" } else { species[row - 1] }.into());
                    let cells: Vec<String> = cells.iter().map(|cell| format!("{blank_before}{quote}{cell}{blank}{quote}")).collect();
                    text += &cells.join(separator);
                    text += if option(4) && row == 1 { line_end } else { "" };
                    text += if option(5) && row == 3 { "" } else { line_end };
                }
                let table = read(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
                assert_eq!(table.columns, ["first", "second", "third"], "{text:?}");
                assert_eq!(table.features, values.concat(), "{text:?}");
                assert_eq!((table.rows, table.width), (3, 3));
                assert_eq!(table.target_name, "y");
                assert_eq!(classes(&table), (vec![1, 0, 1], vec!["a", "b"]));
                read_so_far += 1;
            }
        }
    }
    assert_eq!(read_so_far, 3 * 3 * 64);
}

#[test]
fn the_target_is_classes_or_numbers_by_the_stated_rule() {
    let column = |cells: &[String]| {
        let mut text = String::from("x,y\n");
        cells.iter().for_each(|cell| writeln!(text, "1,{cell}").unwrap());
        text
    };
    let counted = |count: usize| (0..count).rev().map(|i| i.to_string()).collect::<Vec<_>>();
    let table = read(column(&counted(MOST_INTEGER_CLASSES))).unwrap();
    assert_eq!(classes(&table).0, (0..50).rev().collect::<Vec<_>>());
    // Ordered as numbers: 2 before 10.
    assert_eq!(classes(&table).1[10], "10");
    let table = read(column(&counted(MOST_INTEGER_CLASSES + 1))).unwrap();
    assert_eq!(numbers(&table)[0], 50.0);

    let spelled = |cells: &[&str]| column(&cells.iter().map(|c| c.to_string()).collect::<Vec<_>>());
    let table = read(spelled(&["0.5", "1", "2"])).unwrap();
    assert_eq!(numbers(&table), [0.5, 1.0, 2.0]);
    // Different spellings of one number are one class; zero has one sign.
    let table = read(spelled(&["1.0", "1", "1e0", "-0", "0"])).unwrap();
    assert_eq!(classes(&table), (vec![1, 1, 1, 0, 0], vec!["0", "1"]));
    let table = read(spelled(&["3+", "2", "10"])).unwrap();
    assert_eq!(classes(&table), (vec![2, 0, 1], vec!["2", "10", "3+"]));
    let table = read_as(spelled(&["1", "2"]), TargetKind::Numbers).unwrap();
    assert_eq!(numbers(&table), [1.0, 2.0]);
    let table = read_as(spelled(&["1.5", "x", "1.5"]), TargetKind::Classes).unwrap();
    assert_eq!(classes(&table), (vec![0, 1, 0], vec!["1.5", "x"]));
    let error = read_as(spelled(&["1", "x"]), TargetKind::Numbers).unwrap_err();
    assert_eq!(error.line, Some(3));

    for cells in [["1.5", "abc"], ["abc", "1.5"]] {
        let text = message(spelled(&cells));
        assert!(text.starts_with("line 3, column 2 \"y\": "), "{text}");
        assert!(text.contains("\"abc\"") && text.contains("1.5"), "{text}");
    }
}

#[test]
fn a_target_with_too_many_classes_is_refused() {
    let text = |count: usize| {
        let mut text = String::from("x,y\n");
        (0..count).for_each(|i| writeln!(text, "1,name{i}").unwrap());
        text
    };
    assert_eq!(classes(&read(text(MOST_CLASSES)).unwrap()).1.len(), 1000);
    let refused = message(text(MOST_CLASSES + 1));
    assert!(refused.starts_with("line 1002, column 2 \"y\": "), "{refused}");
    // All different: 0.1, 1.1, 2.1 and so on.
    let numbered = text(MOST_CLASSES + 1).replace("name", "").replace('\n', ".1\n").replacen(".1", "", 1);
    assert!(read(&numbered).is_ok());
    let error = read_as(&numbered, TargetKind::Classes).unwrap_err();
    assert_eq!(*error.problem, DataProblem::TooManyClasses);
}

/// Each faulty cell in each place: the message names line and column, whatever lies before.
#[test]
fn a_faulty_cell_is_named_with_its_place() {
    let faults: [(&[u8], &str); 8] = [
        (b"abc", "the text \"abc\" stands"),
        (b"1,5\"", "row has"),
        (b"", "the cell is empty"),
        (b"nan", "\"nan\" is not a finite number"),
        (b"-inf", "\"-inf\" is not a finite number"),
        (b"1e39", "\"1e39\" is beyond the range"),
        (b"caf\xe9", "byte 0xE9, which is not UTF-8"),
        (b"\x1b[31m", "\\u{1b}[31m"),
    ];
    for (fault, said) in faults {
        for line_end in ["\n", "\r\n", "\n\n", "\r"] {
            for row in 0..3 {
                let mut text = format!("a,b,y{line_end}").into_bytes();
                for at in 0..3 {
                    text.extend(b"1,");
                    text.extend(if at == row { fault } else { b"2" });
                    text.extend(format!(",0{line_end}").bytes());
                }
                let got = message(&text);
                let line = match line_end {
                    "\n\n" => 2 * row + 3,
                    _ => row + 2,
                };
                let place = match said {
                    "row has" => format!("line {line}: "),
                    _ => format!("line {line}, column 2 \"b\": "),
                };
                assert!(got.starts_with(&place), "{line_end:?} {place:?} {got}");
                assert!(got.contains(said), "{said:?} {got}");
                assert!(!got.chars().any(char::is_control), "{got:?}");
            }
        }
    }
}

#[test]
fn a_line_break_inside_quotes_still_counts_as_a_line() {
    let text = message("\"a\nb\",y\n1,0\nx,0\n");
    assert!(text.starts_with("line 4, column 1 \"a\\nb\": "), "{text}");
}

#[test]
fn a_column_without_a_name_has_its_number() {
    let text = message(",y\nx,0\n");
    assert!(text.starts_with("line 2, column 1: the text"), "{text}");
}

#[test]
fn a_ragged_row_says_how_many_cells_it_has() {
    for cells in [1, 2, 4, 5] {
        let text = message(format!("a,b,y\n1,2,0\n{}\n", vec!["1"; cells].join(",")));
        let counted = if cells == 1 { "1 cell,".into() } else { format!("{cells} cells,") };
        assert!(text.starts_with("line 3: this row has"), "{text}");
        assert!(text.contains(&counted) && text.contains("first line has 3"), "{text}");
    }
}

#[test]
fn a_missing_target_lists_the_columns_and_suggests_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let ask = |contents: &str, target: &str| {
        std::fs::write(&path, contents).unwrap();
        read_table(&path, target).unwrap_err().to_string()
    };
    let text = ask("height,weight,species\n1,2,x\n", "Speceis");
    assert!(text.contains("did you mean \"species\"?"), "{text}");
    assert!(text.contains("height, weight, species"), "{text}");
    let text = ask("5.1,3.5,setosa\n", "species");
    assert!(text.contains("the first line must hold the names"), "{text}");
    let wide: Vec<String> = (0..1000).map(|i| format!("column{i:04}")).collect();
    let text = ask(&format!("{}\n", wide.join(",")), "target");
    assert!(text.contains("and 960 more") && text.len() < 1000, "{text}");
    let text = ask("y,x,y\n1,2,3\n", "y");
    assert!(text.contains("columns 1 and 3 are both named"), "{text}");
    let text = ask("y\n1\n", "y");
    assert!(text.contains("the only column"), "{text}");
}

#[test]
fn files_that_are_no_table() {
    for empty in ["", "\n", "\r\n\r\n"] {
        assert!(message(empty).starts_with("the file is empty"), "{empty:?}");
    }
    for header in ["x,y", "x,y\n", "x,y\r\n\r\n"] {
        assert!(message(header).contains("no row of data"), "{header:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let problem = |path: &Path| *read_table(path, "y").unwrap_err().problem;
    assert_eq!(problem(folder.path()), DataProblem::Directory);
    assert_eq!(problem(&folder.path().join("no.csv")), DataProblem::Missing);
    assert_eq!(problem(Path::new("")), DataProblem::Missing);
    #[cfg(unix)]
    assert_eq!(problem(Path::new("/dev/null")), DataProblem::NotRegular);
    let inside_a_file = folder.path().join("f");
    std::fs::write(&inside_a_file, "x").unwrap();
    let inside_a_file = inside_a_file.join("table.csv");
    assert!(matches!(problem(&inside_a_file), DataProblem::Unreadable(_)));
}

#[test]
fn rows_cells_and_headers_have_a_largest_size() {
    let longest = format!("x,y\n1,{}\n", "n".repeat(LONGEST_CELL));
    assert!(read(&longest).is_ok());
    let text = message(longest.replace("1,", "1,n"));
    assert!(text.starts_with("line 2, column 2 \"y\": this cell takes 4097"), "{text}");
    // A quote that is never closed swallows the rest of the file, here more than a row may hold.
    let mut endless = String::from("x,y\n1,0\n2,\"");
    endless += &"1,0\n".repeat(LONGEST_ROW as usize / 4 + 100_000);
    let text = message(endless);
    assert!(text.starts_with("line 3: the row that starts here"), "{text}");
    let text = message(",".repeat(MOST_COLUMNS));
    assert!(text.contains("100001 columns"), "{text}");
}

/// Truncations and single-byte changes of a valid file end in a table or an error, never a panic.
#[test]
fn damaged_files_never_panic() {
    let valid = b"\"a\",b,y\r\n1,-2e3,x\n\"3\",4,\"z\"\"z\"\n";
    for end in 0..valid.len() {
        let _ = read(&valid[..end]);
    }
    for at in 0..valid.len() {
        for byte in [0, b'"', b',', b'\n', b'\r', b'9', 0x80, 0xff] {
            let mut damaged = *valid;
            damaged[at] = byte;
            if let Ok(table) = read(damaged) {
                assert_eq!(table.features.len(), table.rows * table.width);
                assert!(table.features.iter().all(|x| x.is_finite()));
            }
        }
    }
}

#[test]
fn the_separator_is_the_one_that_the_first_line_has_most_of() {
    let cases: [(&str, u8); 8] = [
        ("", b','),
        ("alone", b','),
        ("a;b,c;d", b';'),
        ("a,b;c", b','),
        ("a\tb", b'\t'),
        ("\"a,b,c\";d", b';'),
        ("\"two\nlines\";b;c\n1,2,3,4", b';'),
        ("a;b\n1,2,3,4", b';'),
    ];
    for (start, expected) in cases {
        assert_eq!(delimiter_of(start.as_bytes()), expected, "{start:?}");
    }
}

/// Rows that an open quote has swallowed would otherwise be missing without a word.
#[test]
fn a_quote_left_open_is_told_from_one_that_is_closed() {
    let open = [
        "x,y\n1,\"a\n2,b\n3,a\n",
        "x,y\n1,\"a\"\"\n2,b\n",
        "x,y\n1,0\n\"2,1\n3,0\n",
        "x,y\n1,\"a\nb\"\n2,\"\n",
        "\"x,y\n1,2\n",
        "\u{feff}\"x,y\n1,2\n",
    ];
    for contents in open {
        assert!(message(contents).contains("is not closed before the file ends"), "{contents:?}: {}", message(contents));
    }
    assert!(message(open[2]).starts_with("line 3: a quote"), "{}", message(open[2]));
    let closed = [
        "x,y\n1,\"a\nb\"",
        "x,y\n1,\"a\nb\"\"\"\n",
        "x,y\n1,\"\"\"\n\"\n",
        "x,y\n1,a\n2,5\" pipe\n",
        "x,y\n\"1\",\"a\n\"\r\n",
        "\u{feff}\"x\n\",y\n1,0\n",
        "\u{feff}\"z\n\",x,y\n1,2,3",
    ];
    for contents in closed {
        assert!(read(contents).is_ok(), "{contents:?}: {}", message(contents));
    }
}
