//! Turns for blocking work: so many pieces at once, a bounded queue behind them, fair between those who ask.
//!
//! The turn travels with the work. A request that is dropped while it waits leaves the queue and starts nothing; one that is
//! dropped later leaves its work running, and the turn is free again when the work has ended and not before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};

use crate::core::written_text::before_quotes;

/// Runs blocking work of many sources `S` (addresses, devices; `()` where all are alike). Clones share the queue.
#[derive(Clone)]
pub struct WorkQueue<S>(Arc<Shared<S>>);

/// Why a piece of work gave no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Too many wait already. Nothing was started.
    #[error("too many requests wait for their turn")]
    QueueFull,
    #[error("the work panicked: {}", before_quotes(&.0.to_string()))]
    Panicked(#[from] JoinError),
}

struct Shared<S> {
    max_running: usize,
    max_waiting: usize,
    state: Mutex<State<S>>,
}

struct State<S> {
    running: usize,
    /// In the order of their next turns: each source once, with its requests in the order they came. Empty while a turn is
    /// free.
    waiting: VecDeque<(S, VecDeque<oneshot::Sender<Turn<S>>>)>,
}

/// The right to run one piece of work. Dropped, it goes to the next in the queue.
struct Turn<S>(Arc<Shared<S>>);

impl<S: Eq + Send + 'static> WorkQueue<S> {
    pub fn new(max_running: usize, max_waiting: usize) -> Self {
        let state = Mutex::new(State { running: 0, waiting: VecDeque::new() });
        Self(Arc::new(Shared { max_running, max_waiting, state }))
    }

    /// Runs `work` on a thread of its own when its turn comes. Sources take turns, whatever the number of their requests; in
    /// a full queue the source with the most requests loses its last one to a newcomer with fewer.
    pub async fn run<T: Send + 'static>(
        &self,
        source: S,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let turn = self.turn(source).await.ok_or(WorkError::QueueFull)?;
        let work = move || {
            let _turn = turn;
            work()
        };
        Ok(spawn_blocking(work).await?)
    }

    async fn turn(&self, source: S) -> Option<Turn<S>> {
        let coming = {
            let mut state = self.0.lock();
            if state.running < self.0.max_running {
                state.running += 1;
                return Some(Turn(self.0.clone()));
            }
            state.make_room(&source, self.0.max_waiting)?;
            state.push(source)
        };
        coming.await.ok()
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Drop for Turn<S> {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.pop();
            if next.is_none() {
                state.running -= 1;
            }
            next
        };
        if let Some(next) = next {
            // Whoever has just gone drops it, and so passes it on.
            let _ = next.send(Self(self.0.clone()));
        }
    }
}

impl<S> State<S> {
    /// The next request that still waits.
    fn pop(&mut self) -> Option<oneshot::Sender<Turn<S>>> {
        while let Some((source, mut requests)) = self.waiting.pop_front() {
            while requests.front().is_some_and(oneshot::Sender::is_closed) {
                requests.pop_front();
            }
            let Some(next) = requests.pop_front() else { continue };
            if !requests.is_empty() {
                self.waiting.push_back((source, requests));
            }
            return Some(next);
        }
        None
    }

    fn len(&self) -> usize {
        self.waiting.iter().map(|(_, requests)| requests.len()).sum()
    }
}

impl<S: Eq> State<S> {
    fn push(&mut self, source: S) -> oneshot::Receiver<Turn<S>> {
        let (sender, coming) = oneshot::channel();
        match self.waiting.iter_mut().find(|(known, _)| *known == source) {
            Some((_, requests)) => requests.push_back(sender),
            None => self.waiting.push_back((source, VecDeque::from([sender]))),
        }
        coming
    }

    /// `None`: the queue is full, and nobody has more requests in it than this source would have.
    fn make_room(&mut self, source: &S, max_waiting: usize) -> Option<()> {
        if self.len() < max_waiting {
            return Some(());
        }
        for (_, requests) in &mut self.waiting {
            requests.retain(|request| !request.is_closed());
        }
        self.waiting.retain(|(_, requests)| !requests.is_empty());
        if self.len() < max_waiting {
            return Some(());
        }
        let own = self.waiting.iter().find(|(known, _)| known == source).map_or(0, |(_, requests)| requests.len());
        let (_, most) = self.waiting.iter_mut().max_by_key(|(_, requests)| requests.len())?;
        (most.len() > own + 1).then(|| drop(most.pop_back()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::JoinHandle;

    use super::*;

    /// Pieces of work that say when they begin and end when they are told to.
    struct Work {
        queue: WorkQueue<&'static str>,
        begun: mpsc::Receiver<&'static str>,
        begins: mpsc::Sender<&'static str>,
        ends: Vec<mpsc::Sender<()>>,
    }

    impl Work {
        fn new(max_running: usize, max_waiting: usize) -> Self {
            let (begins, begun) = mpsc::channel();
            Self { queue: WorkQueue::new(max_running, max_waiting), begun, begins, ends: Vec::new() }
        }

        /// Returns when the request runs, waits or was refused.
        async fn ask(&mut self, source: &'static str, name: &'static str) -> JoinHandle<Result<(), WorkError>> {
            let (begins, (end, ended)) = (self.begins.clone(), mpsc::channel());
            self.ends.push(end);
            let queue = self.queue.clone();
            let asked = tokio::spawn(async move {
                let work = move || {
                    begins.send(name).unwrap();
                    let _ = ended.recv();
                };
                queue.run(source, work).await
            });
            // One thread: the task runs up to its first pause.
            tokio::task::yield_now().await;
            asked
        }

        fn end(&mut self, number: usize) {
            self.ends[number].send(()).unwrap();
        }

        fn running(&self) -> usize {
            self.queue.0.lock().running
        }

        fn waiting(&self) -> usize {
            self.queue.0.lock().len()
        }
    }

    /// Threat: whoever hangs up at once has 150 hashes of 19 MiB made at the same time.
    #[tokio::test]
    async fn abandoned_work_keeps_its_turn_until_it_ends() {
        let mut work = Work::new(1, 10);
        let gone = work.ask("a", "first").await;
        assert_eq!(work.begun.recv(), Ok("first"));
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        let next = work.ask("a", "second").await;
        assert_eq!((work.running(), work.waiting()), (1, 1), "the first still works");
        work.end(0);
        work.end(1);
        next.await.unwrap().unwrap();
        assert_eq!((work.begun.recv(), work.running()), (Ok("second"), 0));
    }

    /// Threat: requests that hung up long ago are worked off one by one, and fill the queue for those who wait.
    #[tokio::test]
    async fn abandoned_request_starts_nothing_and_keeps_no_place() {
        let mut work = Work::new(1, 2);
        let first = work.ask("a", "first").await;
        let gone = [work.ask("b", "gone").await, work.ask("b", "gone").await];
        for gone in gone {
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        let last = work.ask("b", "last").await;
        for number in [0, 3] {
            work.end(number);
        }
        first.await.unwrap().unwrap();
        last.await.unwrap().unwrap();
        assert_eq!(work.begun.try_iter().collect::<Vec<_>>(), ["first", "last"]);
        assert_eq!((work.running(), work.waiting()), (0, 0));
    }

    /// Threat: 400 requests at once from one place make everybody else wait for all of them.
    #[tokio::test]
    async fn sources_take_turns_whatever_they_send() {
        let mut work = Work::new(1, 10);
        let mut asked = Vec::new();
        for (source, name) in
            [("a", "a1"), ("a", "a2"), ("a", "a3"), ("a", "a4"), ("b", "b1"), ("c", "c1"), ("b", "b2")]
        {
            asked.push(work.ask(source, name).await);
        }
        work.ends.clear();
        for asked in asked {
            asked.await.unwrap().unwrap();
        }
        assert_eq!(work.begun.try_iter().collect::<Vec<_>>(), ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
    }

    /// Threat: the queue is filled from one place, and nobody else gets into it.
    #[tokio::test]
    async fn full_queue_makes_room_for_whoever_asks_less() {
        let mut work = Work::new(1, 3);
        let mut asked = Vec::new();
        for (source, name) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("a", "a4"), ("a", "a5"), ("b", "b1")] {
            asked.push(work.ask(source, name).await);
        }
        assert_eq!(work.waiting(), 3);
        let [.., displaced, refused, _] = &mut asked[..] else { unreachable!() };
        for sent_away in [displaced, refused] {
            assert!(matches!(sent_away.await.unwrap(), Err(WorkError::QueueFull)));
        }
        work.ends.clear();
        for number in [0, 1, 2, 5] {
            (&mut asked[number]).await.unwrap().unwrap();
        }
        assert_eq!(work.begun.try_iter().collect::<Vec<_>>(), ["a1", "a2", "b1", "a3"]);
    }

    #[tokio::test]
    async fn panic_of_the_work_frees_its_turn() {
        let queue = WorkQueue::new(1, 0);
        assert!(matches!(queue.run("a", || panic!("a decoder's")).await, Err::<(), _>(WorkError::Panicked(_))));
        assert_eq!(queue.run("a", || 7).await.unwrap(), 7);
    }
}
