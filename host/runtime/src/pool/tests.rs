use super::*;
use chord_cpu::Pool;
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long a test waits for what must come, before it fails instead of hanging.
const HANG: Duration = Duration::from_secs(120);
/// Longer than any spinning: who waits so long sleeps.
const ASLEEP: Duration = Duration::from_millis(20);

#[test]
fn every_thread_runs_each_job_once() {
    for threads in [1, 3, 32] {
        let pool = ThreadPool::new(threads);
        let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..200 {
            pool.run(&|i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(counts.into_iter().all(|c| c.into_inner() == 200), "{threads} threads");
    }
}

#[test]
fn threads_are_no_more_than_cores() {
    let (threads, cores) = (ThreadPool::default_threads(), num_cpus::get_physical());
    assert!((1..=cores.max(1)).contains(&threads), "{threads} threads on {cores} cores");
    let available = std::thread::available_parallelism().unwrap().get();
    assert_eq!(ThreadPool::useful_threads(1), 1);
    assert_eq!(ThreadPool::useful_threads(available + 14), available);
}

#[test]
fn a_sleeping_pool_wakes() {
    let pool = ThreadPool::new(2);
    let count = AtomicUsize::new(0);
    for _ in 0..3 {
        std::thread::sleep(ASLEEP);
        pool.run(&|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(count.into_inner(), 6);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = ThreadPool::new(2);
    for bad in 0..2 {
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(&|i| assert_ne!(i, bad))));
        assert!(result.is_err(), "thread {bad}");
    }
    let count = AtomicUsize::new(0);
    pool.run(&|_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(count.into_inner(), 2);
}

/// All pieces are done once, whoever comes, in many short jobs of more threads than cores.
#[test]
fn lent_threads_share_the_pieces() {
    let pool = ThreadPool::new(16);
    for n in 0..300 {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        pool.lend(&|_| {
            while next.fetch_add(1, Ordering::Relaxed) < n {
                if done.fetch_add(1, Ordering::AcqRel) + 1 == n {
                    pool.notify();
                }
            }
            let is_over = || done.load(Ordering::Acquire) == n;
            if pool.wait(&is_over) { Turn::Over } else { Turn::Waiting }
        });
        assert_eq!(done.into_inner(), n);
    }
}

/// Another instance's job that never ends keeps nobody from starting and finishing one: it is waited for zero times.
#[test]
fn a_job_waits_for_no_job_of_others() {
    let pool = ThreadPool::new(3);
    let (entered, has_entered) = channel();
    let release = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // All threads are in it, and stay.
            pool.run(&|_| {
                entered.send(()).unwrap();
                while !release.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        });
        (0..3).for_each(|_| has_entered.recv_timeout(HANG).expect("every thread enters"));
        let mut finished = 0;
        for _ in 0..100 {
            let turns = AtomicUsize::new(0);
            pool.lend(&|thread| {
                assert_eq!(thread, 0, "workers are elsewhere");
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                if turn < 10 { Turn::More } else { Turn::Over }
            });
            finished += usize::from(!release.load(Ordering::Acquire));
        }
        release.store(true, Ordering::Release);
        assert_eq!(finished, 100, "jobs that ended while the long one ran");
    });
}

/// Workers of a long job come to another one as soon as their phase ends.
#[test]
fn workers_leave_a_long_job_for_a_new_one() {
    let pool = ThreadPool::new(2);
    let (helps, is_helped) = channel();
    let (worked, has_worked) = channel();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            pool.lend(&|thread| {
                if thread > 0 {
                    worked.send(()).unwrap();
                    while !pool.is_wanted() && !is_over.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                }
                if is_over.load(Ordering::Acquire) { Turn::Over } else { Turn::More }
            });
        });
        has_worked.recv_timeout(HANG).expect("the worker helps the long job");
        let helped = pool_waits(&pool, helps, is_helped);
        is_over.store(true, Ordering::Release);
        long.join().unwrap();
        assert!(helped);
    });
}

/// A job whose caller waits until a worker has come. Whether one has.
fn pool_waits(
    pool: &ThreadPool,
    helps: std::sync::mpsc::Sender<()>,
    is_helped: std::sync::mpsc::Receiver<()>,
) -> bool {
    let is_helped = std::sync::Mutex::new(is_helped);
    let found = AtomicBool::new(false);
    pool.lend(&|thread| {
        if thread == 0 {
            let came = is_helped.lock().unwrap().recv_timeout(HANG).is_ok();
            found.store(came, Ordering::Relaxed);
            return Turn::Over;
        }
        // The second of several visits may find nobody listening.
        let _ = helps.send(());
        Turn::Waiting
    });
    found.into_inner()
}

/// A caller that finds nothing to do sleeps, and wakes when a worker has done its piece.
#[test]
fn a_waiting_caller_wakes() {
    let pool = ThreadPool::new(2);
    let (taken, done) = (AtomicBool::new(false), AtomicBool::new(false));
    pool.lend(&|thread| {
        if thread > 0 && !taken.swap(true, Ordering::AcqRel) {
            std::thread::sleep(ASLEEP);
            done.store(true, Ordering::Release);
            pool.notify();
        }
        if done.load(Ordering::Acquire) { Turn::Over } else { Turn::Waiting }
    });
    assert!(done.into_inner());
}

/// What a job borrows lives until its last worker has left.
#[test]
fn no_worker_is_in_a_job_that_has_returned() {
    let pool = ThreadPool::new(4);
    for _ in 0..20 {
        let (inside, came) = (AtomicUsize::new(0), AtomicBool::new(false));
        pool.lend(&|thread| {
            if thread == 0 {
                return if came.load(Ordering::Acquire) { Turn::Over } else { Turn::More };
            }
            inside.fetch_add(1, Ordering::AcqRel);
            came.store(true, Ordering::Release);
            std::thread::sleep(Duration::from_millis(3));
            inside.fetch_sub(1, Ordering::AcqRel);
            Turn::Over
        });
        assert_eq!(inside.into_inner(), 0);
    }
}

#[test]
fn a_panicking_helper_fails_the_job_and_not_the_next_one() {
    let pool = ThreadPool::new(3);
    let came = AtomicBool::new(false);
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.lend(&|thread| {
            if thread > 0 {
                came.store(true, Ordering::Release);
                panic!("on purpose");
            }
            if came.load(Ordering::Acquire) { Turn::Over } else { Turn::More }
        });
    }));
    assert!(result.is_err());
    pool.lend(&|_| Turn::Over);
}
