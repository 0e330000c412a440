//! A system that lets no memory be executed which was ever written.

use crate::support::{program, ran, succeed};
use std::os::unix::process::CommandExt;
use std::{fs, io};

/// From here on the process gets no permission to execute memory that it has mapped for writing, as
/// under a strict security policy: a filter refuses `mprotect` that asks for it.
fn forbid_execution() -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// `AUDIT_ARCH_X86_64` of the kernel's `linux/audit.h`.
    const ARCHITECTURE: u32 = 0xc000_003e;
    /// Where the kernel's `struct seccomp_data` has the call, the architecture, and the third argument.
    const CALL: u32 = 0;
    const ARCH: u32 = 4;
    const THIRD: u32 = 32;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        step(LOAD, ARCH, 0, 0),
        step(IF_EQUAL, ARCHITECTURE, 0, 5),
        step(LOAD, CALL, 0, 0),
        step(IF_EQUAL, libc::SYS_mprotect as u32, 0, 3),
        step(LOAD, THIRD, 0, 0),
        step(IF_SET, libc::PROT_EXEC as u32, 0, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let rules = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls read their arguments alone; the rules live until they are read.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const rules) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn where_no_code_may_be_written_it_is_said_once_and_results_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let args = |out| ["train", "spiral", "--epochs", "2", "--seed", "3", "--out", out];
    let free = succeed(folder.path(), &args("free"));
    let mut command = program(folder.path());
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.args(args("held")).pre_exec(forbid_execution) };
    let held = ran(command.output().expect("the program starts"));
    assert_eq!(held.code, Some(0), "{}{}", held.out, held.err);
    let model = |out: &str| fs::read(folder.path().join(out).join("model.safetensors")).unwrap();
    assert!(model("free") == model("held"), "the interpreter has other bits");
    let said = |err: &str| err.matches("fused operations are interpreted").count();
    let has_code = usize::from(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c"));
    assert_eq!((said(&free.err), said(&held.err)), (0, has_code), "{}", held.err);
}
