//! Files of every type and shape that must survive, and hostile ones that must not.

use super::*;

/// A file with this header and `data` bytes of zeros after it.
fn file(header: impl AsRef<[u8]>, data: usize) -> Vec<u8> {
    let header = header.as_ref();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn read_file(bytes: &[u8]) -> Result<Contents, FileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    std::fs::write(&path, bytes).unwrap();
    read_contents(path)
}

/// The problem of a file that must be refused; its message is looked at on the way.
fn refused(bytes: &[u8]) -> TensorProblem {
    let error = read_file(bytes).expect_err("must be refused");
    let text = error.to_string();
    assert!(text.contains("m.safetensors: "), "{text}");
    assert!(text.contains("; ") && text.len() < 1000, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    match *error.problem {
        FileProblem::Tensors(problem) => problem,
        other => panic!("{other}"),
    }
}

fn tensor(dtype: RawDtype, shape: &[usize]) -> RawTensor<'static> {
    let count = shape.iter().product::<usize>() * dtype.bytes();
    let byte = |i: usize| {
        if dtype == RawDtype::Bool { i % 2 } else { i % 251 }
    };
    RawTensor { dtype, shape: shape.to_vec(), bytes: (0..count).map(|i| byte(i) as u8).collect() }
}

/// Every type in every kind of shape, with a name for each.
fn all_kinds() -> Vec<(String, RawTensor<'static>)> {
    let shapes: [&[usize]; 6] = [&[], &[1], &[3], &[2, 0, 5], &[7, 1, 3], &[1; MOST_AXES]];
    let mut tensors = Vec::new();
    for &dtype in RawDtype::ALL {
        for shape in shapes {
            let name = format!("{} {shape:?} \"\\\n\u{1F600}", dtype.name());
            tensors.push((name, tensor(dtype, shape)));
        }
    }
    tensors
}

#[test]
fn what_is_written_is_read_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let metadata = vec![("z".to_string(), "quote \" and \\ and \u{7}".to_string()), ("a".to_string(), String::new())];
    let tensors = all_kinds();
    write(&path, &tensors, &metadata).unwrap();
    assert_eq!(read(&path).unwrap(), tensors);
    assert_eq!(read_contents(&path).unwrap().metadata, metadata);
    write::<&str>(&path, &[], &[]).unwrap();
    assert_eq!(read_contents(&path).unwrap(), Contents::default());
    assert_eq!(std::fs::read(&path).unwrap(), file("{}      ", 0));
}

#[test]
fn each_tensor_starts_at_a_multiple_of_its_value_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    write(&path, &all_kinds(), &[]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    let data = (bytes.len() - 8 - length) as u64;
    let header = Header::parse(&bytes[8..8 + length], data).unwrap();
    for place in header.places {
        assert_eq!(place.begin % place.dtype.bytes() as u64, 0, "{}", place.name);
    }
}

/// A file laid out by hand from the format's description, data in another order than the header.
#[test]
fn a_file_laid_out_by_hand_is_read() {
    let header = br#"{"b":{"dtype":"I16","shape":[2],"data_offsets":[4,8]},
        "__metadata__":{"by":"hand"},
        "a":{"data_offsets":[0,4],"shape":[],"dtype":"F32"},
        "none":{"dtype":"U8","shape":[0,9],"data_offsets":[4,4]}}   "#;
    let mut bytes = file(header, 0);
    bytes.extend(2.5f32.to_le_bytes());
    bytes.extend([1, 0, 0xfe, 0xff]);
    let contents = read_file(&bytes).unwrap();
    let names: Vec<&str> = contents.tensors.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["b", "a", "none"]);
    assert_eq!(*contents.tensors[0].1.bytes, [1, 0, 0xfe, 0xff]);
    assert_eq!(*contents.tensors[1].1.bytes, 2.5f32.to_le_bytes());
    assert_eq!(contents.tensors[2].1.shape, [0, 9]);
    assert_eq!(contents.metadata, [("by".to_string(), "hand".to_string())]);
}

#[test]
fn lengths_of_headers_are_checked_before_memory_is_asked_for() {
    for length in 0..8 {
        let problem = refused(&vec![0; length]);
        assert_eq!(problem, TensorProblem::NoHeader { length: length as u64 });
    }
    for claimed in [3, 100, LONGEST_HEADER] {
        let problem = refused(&[&u64::to_le_bytes(claimed)[..], b"{}"].concat());
        let available = 2;
        assert_eq!(problem, TensorProblem::HeaderBeyondFile { claimed, available });
    }
    for claimed in [LONGEST_HEADER + 1, 1 << 40, i64::MAX as u64, u64::MAX] {
        let problem = refused(&[&u64::to_le_bytes(claimed)[..], b"{}"].concat());
        assert_eq!(problem, TensorProblem::HeaderTooLong { claimed });
    }
}

#[test]
fn headers_that_are_not_the_expected_json_are_refused() {
    let deep = "[".repeat(100_000);
    // Valid but for one axis too many.
    let shape = format!(r#"{{"w":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(MOST_AXES));
    let headers = [
        "",
        " {}",
        "[]",
        "null",
        "{",
        "{}}",
        "{} x",
        r#"{"w"}"#,
        r#"{"w":1}"#,
        r#"{"w":{}}"#,
        r#"{"w":{"dtype":"U8","shape":[1]}}"#,
        r#"{"w":{"dtype":"U8","data_offsets":[0,1]}}"#,
        r#"{"w":{"shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":8,"shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1e400],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,-1]}}"#,
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}}"#,
        r#"{"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":null}"#,
        r#"{"__metadata__":{},"__metadata__":{}}"#,
        &format!(r#"{{"w":{deep}"#),
        &deep,
        &shape,
    ];
    for header in headers {
        let problem = refused(&file(header, 1));
        let TensorProblem::HeaderNotJson { tensor, .. } = problem else { panic!("{header:.80}: {problem}") };
        let named = header.starts_with(r#"{"w""#).then_some("w");
        let named = named.or(header.contains(METADATA).then_some(METADATA));
        assert_eq!(tensor.as_deref(), named, "{header:.80}");
    }
    let problem = refused(&file(b"{\"caf\xe9\":1}", 0));
    assert_eq!(problem, TensorProblem::HeaderNotUtf8 { at: 5 });
}

#[test]
fn tensors_must_cover_the_data_without_overlap_or_gap() {
    let entry = |name: &str, begin: usize, end: usize| {
        let shape = end.saturating_sub(begin);
        format!(r#""{name}":{{"dtype":"U8","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#)
    };
    let pair = |a: (usize, usize), b: (usize, usize), data| file(format!("{{{},{}}}", entry("a", a.0, a.1), entry("b", b.0, b.1)), data);
    // Every pair of ranges over up to four bytes: accepted exactly if it tiles the data.
    let mut accepted = 0;
    for code in 0..5 * 5 * 5 * 5 * 5 {
        let [a, b, c, d, data] = [1, 5, 25, 125, 625].map(|step| code / step % 5);
        let tiles = (a == 0 && b == c && d == data && a <= b && c <= d) || (c == 0 && d == a && b == data && c <= d && a <= b);
        let result = read_file(&pair((a, b), (c, d), data));
        assert_eq!(result.is_ok(), tiles, "{a}..{b} and {c}..{d} of {data}");
        accepted += usize::from(tiles);
    }
    assert!(accepted > 20);
    use TensorProblem::*;
    assert!(matches!(refused(&pair((0, 3), (2, 4), 4)), Overlap { begin: 2, other_end: 3, .. }));
    assert!(matches!(refused(&pair((0, 1), (2, 4), 4)), Gap { from: 1, to: 2 }));
    assert!(matches!(refused(&pair((0, 1), (1, 2), 4)), Gap { from: 2, to: 4 }));
    assert!(matches!(refused(&pair((0, 1), (1, 5), 4)), BeyondFile { end: 5, .. }));
    assert!(matches!(refused(&pair((0, 1), (4, 1), 4)), OffsetsReversed { .. }));
    assert!(matches!(refused(&file("{}", 1)), Gap { from: 0, to: 1 }));
    let twice = format!("{{{},{}}}", entry("a", 0, 1), entry("a", 1, 2));
    assert_eq!(refused(&file(twice, 2)), RepeatedName("a".into()));
    let twice = r#"{"__metadata__":{"k":"","k":""}}"#;
    assert_eq!(refused(&file(twice, 0)), RepeatedName("k".into()));
}

#[test]
fn shapes_types_and_sizes_must_agree() {
    use TensorProblem::*;
    let file = |dtype: &str, shape: &str, end: u64| {
        let end = format!(r#""data_offsets":[0,{end}]"#);
        file(format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},{end}}}}}"#), 8)
    };
    for &dtype in RawDtype::ALL {
        let count = 8 / dtype.bytes();
        assert!(read_file(&file(dtype.name(), &format!("[{count}]"), 8)).is_ok());
        for wrong in [count - 1, count + 1, 0] {
            let problem = refused(&file(dtype.name(), &format!("[{wrong}]"), 8));
            assert!(matches!(problem, WrongSize { found: 8, .. }), "{problem}");
        }
    }
    for dtype in ["", "f32", "F128", "U8 ", "F4"] {
        assert!(matches!(refused(&file(dtype, "[8]", 8)), UnknownDtype { .. }));
    }
    // Products that wrap around to a harmless size, and zeros that would hide the overflow.
    for shape in [
        "[4294967296,4294967296]",
        "[18446744073709551615,18446744073709551615]",
        "[4611686018427387904,2]",
        "[2305843009213693953]",
        "[9223372036854775808,2,0]",
        "[0,9223372036854775807,9223372036854775807]",
    ] {
        for end in [0, 8] {
            let problem = refused(&file("F64", shape, end));
            assert!(matches!(problem, ShapeOverflow { .. }), "{shape}: {problem}");
        }
    }
    let problem = refused(&file("U8", "[1099511627776]", 1 << 40));
    assert!(matches!(problem, BeyondFile { available: 8, .. }), "{problem}");
    let mut truth = file("BOOL", "[8]", 8);
    *truth.last_mut().unwrap() = 2;
    assert!(matches!(refused(&truth), NotBool { at: 7, byte: 2, .. }));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let tensors = [("w", tensor(RawDtype::F32, &[2, 3])), ("b", tensor(RawDtype::Bool, &[3]))];
    write(&path, &tensors, &[("k".into(), "v".into())]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(read_file(&bytes).is_ok());
    for end in 0..bytes.len() {
        refused(&bytes[..end]);
    }
}

/// Any change of one byte is read or refused, without a panic; what is read is consistent.
#[test]
fn a_changed_byte_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let tensors = [("w", tensor(RawDtype::F32, &[2])), ("b", tensor(RawDtype::Bool, &[3]))];
    write(&path, &tensors, &[("k".into(), "v".into())]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for byte in (0..=255).step_by(if at < 8 { 1 } else { 5 }).chain(*b"[]{},\"0123456789") {
            let mut changed = bytes.clone();
            changed[at] = byte;
            let length = changed.len() as u64;
            let Ok(contents) = read_from(&mut &changed[..], length) else {
                continue;
            };
            let total: usize = contents.tensors.iter().map(|(_, t)| t.bytes.len()).sum();
            assert_eq!(total, 8 + 3);
            assert!(contents.tensors.iter().all(|(name, t)| t.check(name).is_ok()));
        }
    }
}

#[test]
fn paths_that_are_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |path: &Path| *read(path).unwrap_err().problem;
    assert!(matches!(problem(folder.path()), FileProblem::Directory));
    assert!(matches!(problem(&folder.path().join("no")), FileProblem::Missing));
    #[cfg(unix)]
    assert!(matches!(problem(Path::new("/dev/null")), FileProblem::NotRegular));
    let error = read(folder.path().join("no")).unwrap_err().to_string();
    assert!(error.ends_with("no: there is no such file; check the path"), "{error}");
}

#[test]
fn nothing_wrong_is_written_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let good = tensor(RawDtype::F32, &[2]);
    write(&path, &[("w", good.clone())], &[]).unwrap();
    let before = std::fs::read(&path).unwrap();
    let with = |dtype, shape: &[usize], bytes: usize| RawTensor { dtype, shape: shape.to_vec(), bytes: vec![2; bytes].into() };
    let faulty = [
        ("w", good.clone()),
        (METADATA, good.clone()),
        ("x", with(RawDtype::F32, &[2], 7)),
        ("x", with(RawDtype::Bool, &[2], 2)),
        ("x", with(RawDtype::U8, &[usize::MAX, usize::MAX], 1)),
        ("x", with(RawDtype::U8, &[1; MOST_AXES + 1], 1)),
    ];
    for (name, faulty) in faulty {
        let error = write(&path, &[("w", good.clone()), (name, faulty)], &[]).unwrap_err();
        assert!(matches!(*error.problem, FileProblem::Tensors(_)), "{error}");
    }
    let twice = vec![("k".to_string(), String::new()); 2];
    assert!(write(&path, &[("w", good)], &twice).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
