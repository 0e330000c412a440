//! `chainrule-bench compare`: our steps and those of the peers in turn, several rounds of them, as tables of
//! times, ratios and shares of the machine's peak.
//!
//! Every measurement is a process of its own, so that no one inherits another's memory, threads or warm
//! caches; and the rounds go through all workloads, so that a slow hour meets everybody. Refuses to make the
//! peers' environment (`peers/environment.sh` does) and to go on after a peer has failed: what was measured
//! until then is shown as the part that it is.

mod lines;
mod table;

use crate::{peak, steps};
use chainrule::Precision;
use chainrule::backend::cpu::team::Team;
use lines::Figures;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use table::{Row, Spread};

/// Compares as the arguments say: `[--peers DIR] [--rounds N] [--threads N] [--precision NAME]
/// [workload ...]`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let plan = Plan::read(arguments, std::env::var("THREADS").ok().as_deref(), &steps::names())?;
    let contenders = contenders(plan.peers.as_deref())?;
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let empty = |workload: &String| Row { workload: workload.clone(), samples: vec![Vec::new(); contenders.len()] };
    let mut rows: Vec<Row> = plan.workloads.iter().map(empty).collect();
    let mut peaks = Vec::new();
    let outcome = measure(&plan, &contenders, &mut rows, &mut peaks);
    // What was measured before a failure took its time, too.
    rows.retain(|row| row.samples.iter().any(|samples| !samples.is_empty()));
    if outcome.is_err() && !rows.is_empty() {
        say!("NOT COMPLETE: the comparison ended with the failure below");
    }
    if let (false, Some(peak)) = (rows.is_empty(), Spread::of(peaks)) {
        say!(
            "{}, {}, precision {}; times and ratios are least / median / greatest of the rounds",
            counted(plan.threads, "thread"),
            counted(plan.rounds, "round"),
            plan.precision
        );
        say!("peak: {:.0} GFLOP/s of multiply-adds in f32, the greatest of all rounds (least {:.0})\n", peak.greatest, peak.least);
        say!("{}", table::tables(&names, &rows, peak.greatest).trim_end());
    }
    outcome
}

/// What is to be done.
#[derive(Debug, PartialEq)]
struct Plan {
    /// The peers' Python environment.
    peers: Option<PathBuf>,
    rounds: usize,
    threads: usize,
    /// Of the products; in `Mixed`, PyTorch runs with bf16 autocast. Peers know no other.
    precision: Precision,
    workloads: Vec<String>,
}

/// One that is measured: how it is called, but for the workload's name.
struct Contender {
    /// As in the second column of its line.
    name: &'static str,
    program: OsString,
    arguments: Vec<OsString>,
    /// What to do if it fails.
    advice: String,
}

impl Plan {
    /// `threads` is what the environment says of them, for the case that no argument does.
    fn read(arguments: &[String], threads: Option<&str>, known: &[&str]) -> Result<Plan, String> {
        let count = |text: &str, what: &str| match text.parse() {
            Ok(0) | Err(_) => Err(format!("{what} takes a whole number from 1 on, not '{text}'")),
            Ok(count) => Ok(count),
        };
        let threads = threads.map_or(Ok(2), |text| count(text, "THREADS"))?;
        let mut plan = Plan { peers: None, rounds: 5, threads, precision: Precision::default(), workloads: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--peers" => plan.peers = Some(value()?.into()),
                "--rounds" => plan.rounds = count(value()?, "--rounds")?,
                "--threads" => plan.threads = count(value()?, "--threads")?,
                "--precision" => plan.precision = value()?.parse()?,
                option if option.starts_with('-') => {
                    return Err(format!("no option '{option}'; there are --peers DIR, --rounds N, --threads N and --precision NAME"));
                }
                name if !known.contains(&name) => return Err(format!("no workload '{name}'; there are {}", known.join(", "))),
                // A second mention says nothing new.
                name if plan.workloads.iter().any(|already| already == name) => {}
                name => plan.workloads.push(name.to_string()),
            }
        }
        if plan.threads > Team::LIMIT {
            return Err(format!("{} threads are too many; a team has at most {}", plan.threads, Team::LIMIT));
        }
        if plan.workloads.is_empty() {
            plan.workloads = known.iter().map(|name| name.to_string()).collect();
        }
        Ok(plan)
    }
}

/// Ours, and the peers if there is an environment for them.
fn contenders(peers: Option<&Path>) -> Result<Vec<Contender>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program does not find itself: {error}"))?.into_os_string();
    let advice = "run `chainrule-bench steps` with this workload alone to see more".to_string();
    let mut contenders = vec![Contender { name: "chainrule", program, arguments: vec!["steps".into()], advice }];
    let Some(environment) = peers else { return Ok(contenders) };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let make = format!("`{} {}`", scripts.join("environment.sh").display(), environment.display());
    let python = environment.join("bin").join("python");
    if !python.is_file() {
        return Err(format!("--peers: there is no Python at {}; make the environment with {make}", python.display()));
    }
    for (name, script, mode) in [("torch-eager", "torch_steps.py", Some("eager")), ("jax-jit", "jax_steps.py", None)] {
        let script = scripts.join(script);
        if !script.is_file() {
            return Err(format!("there is no script {}; build chainrule-bench again where its sources are", script.display()));
        }
        let arguments = std::iter::once(script.into_os_string()).chain(mode.map(OsString::from)).collect();
        let advice = format!("if something is not installed, make the environment again: {make}");
        contenders.push(Contender { name, program: python.clone().into_os_string(), arguments, advice });
    }
    Ok(contenders)
}

/// All rounds. What was measured is in `rows` and `peaks` even if something failed.
fn measure(plan: &Plan, contenders: &[Contender], rows: &mut [Row], peaks: &mut Vec<f64>) -> Result<(), String> {
    for round in 1..=plan.rounds {
        peaks.push(peak::measure(plan.threads)?);
        for row in rows.iter_mut() {
            for (contender, samples) in contenders.iter().zip(&mut row.samples) {
                let figures = contender.time(&row.workload, plan)?;
                let text = figures.map_or("no such workload".to_string(), |figures| format!("{:.4} ms", figures.median));
                eprintln!("round {round} of {}: {} {} {text}", plan.rounds, row.workload, contender.name);
                samples.push(figures);
            }
        }
    }
    Ok(())
}

impl Contender {
    /// Runs it on a workload; `None` if it has no such workload.
    fn time(&self, workload: &str, plan: &Plan) -> Result<Option<Figures>, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(workload);
        command.env("THREADS", plan.threads.to_string());
        // What a library's own team of threads goes by.
        command.env("OMP_NUM_THREADS", plan.threads.to_string());
        command.env("PRECISION", plan.precision.name());
        // These would have ours print more than the line.
        command.env_remove("VERBOSE").env_remove("KERNELS");
        let failed = |what: String| format!("{} on {workload}: {what}\nthe call was: {}\n{}", self.name, self.shown(workload), self.advice);
        let output = command.output().map_err(|error| failed(format!("it did not start: {error}")))?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let quoted = lines::quoted(&format!("{said}\n{complained}"));
            return Err(failed(format!("it ended with {}, and {quoted}", output.status)));
        }
        lines::find(&said, workload, self.name).map_err(failed)
    }

    /// The call as one would type it.
    fn shown(&self, workload: &str) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments).map(|word| word.to_string_lossy().into_owned());
        words.chain([workload.to_string()]).collect::<Vec<_>>().join(" ")
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str, threads: Option<&str>) -> Result<Plan, String> {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
        Plan::read(&arguments, threads, &["small", "large"])
    }

    fn threads(threads: usize) -> Plan {
        Plan { threads, ..read("", None).unwrap() }
    }

    #[test]
    fn a_plan_from_arguments() {
        let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        let all = Plan { peers: None, rounds: 5, threads: 2, precision: Precision::Full, workloads: words(&["small", "large"]) };
        assert_eq!(read("", None), Ok(all));
        let some = Plan { peers: Some("there".into()), rounds: 3, threads: 4, precision: Precision::Mixed, workloads: words(&["large"]) };
        assert_eq!(read("--rounds 3 large --peers there --threads 4 large --precision mixed", Some("7")), Ok(some));
        assert_eq!(read("", Some("7")).unwrap().threads, 7);
    }

    #[test]
    fn arguments_that_mean_nothing() {
        let wrong = |arguments: &str, words: &[&str]| {
            let problem = read(arguments, None).unwrap_err();
            words.iter().for_each(|word| assert!(problem.contains(word), "{problem:?} says nothing of {word:?}"));
        };
        wrong("--rounds 0", &["--rounds", "'0'"]);
        wrong("--threads many", &["--threads", "'many'"]);
        wrong("--threads 100000", &["100000", "at most"]);
        wrong("--precision half", &["half", "mixed"]);
        wrong("--peers", &["--peers", "value"]);
        wrong("--speed", &["--speed", "--rounds"]);
        wrong("huge", &["huge", "small, large"]);
        assert!(read("", Some("x")).unwrap_err().contains("THREADS"));
    }

    #[test]
    fn an_environment_that_is_not_there() {
        let problem = contenders(Some(Path::new("no/such/folder"))).err().unwrap();
        assert!(problem.contains("no/such/folder/bin/python") && problem.contains("environment.sh"), "{problem}");
        assert_eq!(contenders(None).unwrap().len(), 1);
    }

    /// A contender that is a line of shell; the workload is `$0`.
    #[cfg(unix)]
    fn shell(line: &str) -> Contender {
        Contender { name: "peer", program: "sh".into(), arguments: vec!["-c".into(), line.into()], advice: "do this".to_string() }
    }

    #[cfg(unix)]
    #[test]
    fn a_contender_is_told_workload_and_threads() {
        let figures = shell("echo $0 peer $THREADS ms least 1 ms first $OMP_NUM_THREADS ms loss 1${VERBOSE}")
            .time("small", &threads(3))
            .unwrap()
            .unwrap();
        assert_eq!((figures.median, figures.first, figures.loss), (3.0, 3.0, 1.0));
        assert_eq!(shell("echo $0 peer none").time("small", &threads(3)), Ok(None));
    }

    #[cfg(unix)]
    #[test]
    fn a_contender_that_fails_is_quoted_with_what_to_do() {
        // A good line does not make a failure good; and the call, which is quoted too, holds none of these words.
        let line = "echo $0 peer 1 ms least 1 ms first 1 ms loss 1; echo $0-library is missing >&2; exit $((3 + 4))";
        let problem = shell(line).time("small", &threads(1)).unwrap_err();
        for word in ["peer on small", "small-library is missing", "status: 7", "do this", "sh -c"] {
            assert!(problem.contains(word), "{problem:?} says nothing of {word:?}");
        }
        let problem = shell("echo non-$0").time("small", &threads(1)).unwrap_err();
        assert!(problem.contains("non-small") && problem.contains("do this"), "{problem}");
        let missing = Contender { program: "no/such/program".into(), ..shell("") };
        assert!(missing.time("small", &threads(1)).unwrap_err().contains("did not start"));
    }
}
