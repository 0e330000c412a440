//! What the thread team promises: every tile once, no lost panic, no deadlock, any nesting.

use std::time::Instant;

use super::*;

const ROUNDS: usize = if cfg!(miri) { 3 } else { 2000 };
const COUNTS: [usize; 5] = [1, 2, 3, 4, 7];

/// The numbers `0..total` as a member comes to them.
fn numbers<'m>(member: &'m Member<'m>, total: usize) -> impl Iterator<Item = usize> + 'm {
    let of = move |whose| share(total, whose, member.count());
    member.tiles(move |whose| of(whose).len()).map(move |(whose, at)| of(whose).start + at)
}

/// Phases of uneven work over plain (non-atomic in effect) cells: each phase reads what other
/// members wrote in the one before, so a barrier that lets anyone through early, a tile handed
/// out twice or a counter that is not reset changes the figures.
#[test]
fn phases_see_each_others_writes() {
    let tiles = 13;
    for count in COUNTS {
        let team = Team::new(count).unwrap();
        let cells: Vec<AtomicUsize> = (0..tiles).map(AtomicUsize::new).collect();
        let sums: Vec<AtomicUsize> = (0..tiles).map(|_| AtomicUsize::new(0)).collect();
        let mut expected: Vec<usize> = (0..tiles).collect();
        for _ in 0..ROUNDS / 10 + 1 {
            team.run(|member| {
                for _ in 0..5 {
                    for tile in numbers(&member, tiles) {
                        let left = cells[(tile + tiles - 1) % tiles].load(Relaxed);
                        sums[tile].store(left.wrapping_add(cells[tile].load(Relaxed).wrapping_mul(3)), Relaxed);
                    }
                    member.barrier();
                    for tile in share(tiles, member.index(), count) {
                        cells[tile].store(sums[tile].load(Relaxed), Relaxed);
                    }
                    member.barrier();
                }
            })
            .unwrap();
            for _ in 0..5 {
                let before = expected.clone();
                for tile in 0..tiles {
                    expected[tile] = before[(tile + tiles - 1) % tiles].wrapping_add(before[tile].wrapping_mul(3));
                }
            }
        }
        let found: Vec<usize> = cells.iter().map(|cell| cell.load(Relaxed)).collect();
        assert_eq!(found, expected, "{count} members");
    }
}

#[test]
fn every_member_runs_once_and_each_tile_is_taken_once() {
    for count in COUNTS {
        let team = Team::new(count).unwrap();
        assert_eq!(team.count(), count);
        for round in 0..ROUNDS {
            let total = round % 50;
            let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let taken: Vec<AtomicUsize> = (0..total).map(|_| AtomicUsize::new(0)).collect();
            team.run(|member| {
                assert_eq!(member.count(), count);
                seen[member.index()].fetch_add(1, Relaxed);
                numbers(&member, total).for_each(|tile| _ = taken[tile].fetch_add(1, Relaxed));
                assert_eq!(numbers(&member, total).next(), None);
            })
            .unwrap();
            assert!(seen.iter().chain(&taken).all(|times| times.load(Relaxed) == 1));
        }
    }
}

#[test]
fn shares_cover_everything_evenly_and_in_order() {
    for (count, total) in [1, 2, 3, 7].into_iter().flat_map(|count| (0..30).map(move |total| (count, total))) {
        let shares: Vec<_> = (0..count).map(|index| share(total, index, count)).collect();
        assert!(shares.iter().all(|share| share.len() == total / count || share.len() == total / count + 1));
        assert!(shares.into_iter().flatten().eq(0..total), "{count} members, {total} items");
    }
}

/// A member's own share comes first, in order; what another never comes to is done by those who do.
#[test]
fn own_tiles_come_first_and_nobody_waits_for_one_who_is_held_up() {
    for count in [2, 3, 7] {
        let team = Team::new(count).unwrap();
        for busy in 0..count {
            let found = Mutex::new(Vec::new());
            team.run(|member| {
                for phase in 0..3 {
                    if member.index() == busy {
                        hold(&found).extend(member.tiles(|whose| 2 * whose + phase).map(|(whose, at)| (phase, whose, at)));
                    }
                    member.barrier();
                }
            })
            .unwrap();
            let order = (0..count).map(|turn| (busy + turn) % count);
            let tiles = |phase: usize| order.clone().flat_map(move |whose| (0..2 * whose + phase).map(move |at| (phase, whose, at)));
            assert!(found.into_inner().unwrap().into_iter().eq((0..3).flat_map(tiles)), "{count} members, of whom {busy} works");
        }
    }
}

/// Any member may panic in any phase while the others wait: the message arrives, nobody hangs,
/// and the next run works.
#[test]
fn a_panic_reaches_the_caller_and_frees_the_others() {
    for count in COUNTS {
        let team = Team::new(count).unwrap();
        for guilty in 0..count {
            for when in 0..3 {
                let failed = team.run(|member| {
                    for phase in 0..3 {
                        if member.index() == guilty && phase == when {
                            resume_unwind(Box::new(format!("member {guilty} in phase {when}")));
                        }
                        member.barrier();
                    }
                });
                assert_eq!(failed.unwrap_err().message, format!("member {guilty} in phase {when}"));
                let met = AtomicUsize::new(0);
                team.run(|member| {
                    member.barrier();
                    met.fetch_add(1, Relaxed);
                    member.barrier();
                    assert_eq!(met.load(Relaxed), count);
                })
                .unwrap();
            }
        }
    }
}

#[test]
fn panic_payloads_of_every_kind_are_named() {
    let team = Team::new(2).unwrap();
    let text = |payload: fn() -> Box<dyn Any + Send>| team.run(|_| resume_unwind(payload())).unwrap_err().message;
    assert_eq!(text(|| Box::new("plain")), "plain");
    assert_eq!(text(|| Box::new("owned".to_string())), "owned");
    assert_eq!(text(|| Box::new(7_u8)), "a panic without a message");
}

/// Members that disagree on the number of barriers are a mistake that must not hang.
#[test]
fn leaving_before_a_barrier_is_an_error_not_a_deadlock() {
    for count in [2, 3, 4] {
        let team = Team::new(count).unwrap();
        for deserter in 0..count {
            let failed = team.run(|member| {
                member.barrier();
                if member.index() != deserter {
                    member.barrier();
                }
            });
            assert!(failed.unwrap_err().message.contains("waits at a barrier"), "{count} members");
        }
        team.run(|member| member.barrier()).unwrap();
    }
}

#[test]
fn a_run_inside_a_run_goes_on_alone() {
    for count in COUNTS {
        let team = Team::new(count).unwrap();
        let inner = AtomicUsize::new(0);
        team.run(|member| {
            member.barrier();
            let nested = team.run(|alone| {
                assert_eq!((alone.index(), alone.count()), (0, 1));
                assert!(numbers(&alone, 5).eq(0..5));
                alone.barrier();
                assert_eq!(numbers(&alone, 5).next(), Some(0));
                inner.fetch_add(1, Relaxed);
            });
            nested.unwrap();
            assert_eq!(team.run(|_| resume_unwind(Box::new("inner"))).unwrap_err().message, "inner");
            member.barrier();
        })
        .unwrap();
        assert_eq!(inner.load(Relaxed), count);
    }
}

#[test]
fn runs_from_many_threads_do_not_disturb_each_other() {
    let team = Team::new(3).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS / 4 + 1 {
                    let total = AtomicUsize::new(0);
                    team.run(|member| {
                        for _ in 0..3 {
                            numbers(&member, 11).for_each(|tile| _ = total.fetch_add(tile, Relaxed));
                            member.barrier();
                        }
                    })
                    .unwrap();
                    assert_eq!(total.into_inner(), 3 * 55);
                }
            });
        }
    });
}

/// The one phase is long enough for the others to fall asleep: the wake-up path.
#[test]
fn sleepers_are_woken() {
    let team = Team::new(4).unwrap();
    for slow in 0..4 {
        let done = AtomicUsize::new(0);
        team.run(|member| {
            if member.index() == slow {
                let begin = Instant::now();
                while begin.elapsed() < 3 * RUN_PATIENCE {
                    std::hint::spin_loop();
                }
                done.store(1, Relaxed);
            }
            member.barrier();
            assert_eq!(done.load(Relaxed), 1);
        })
        .unwrap();
    }
}

#[test]
fn absurd_counts_are_refused() {
    for asked in [0, Team::LIMIT + 1, usize::MAX] {
        let refused = Team::new(asked).unwrap_err();
        assert!(matches!(refused, TeamError::Count { asked: a } if a == asked));
        assert!(refused.to_string().contains("from 1 to 1024"));
    }
}
