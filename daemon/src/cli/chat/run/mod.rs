//! The conversation run on a terminal: what is typed and what the daemon says go into the core, what it wants done is
//! done, and the view is drawn. Nothing is decided here.

mod deeds;
mod open;
mod terminal;

use super::core::{Effect, Event, State};
use super::view::View;
use super::view::style::Theme;
use super::{Begin, consent};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output::Look;
use crate::cli::start::connect;
use crate::config::paths::Paths;
use crossterm::event::{Event as Typed, EventStream, MouseEventKind};
use deeds::{Answering, Daemon, told};
use futures::StreamExt;
use open::{Around, Way};
use std::io;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use terminal::Screen;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};

/// Events that may wait before whoever has more of them waits, too.
const BACKLOG: usize = 1024;
/// Events taken in before the next drawing.
const AT_ONCE: usize = 512;
/// Rows that a notch of the wheel is.
const NOTCH: i32 = 3;
/// Between two drawings while an answer is under way, while a yes is waited for, and otherwise.
const TURNING: Duration = Duration::from_millis(120);
const COUNTING: Duration = Duration::from_secs(1);
const RESTING: Duration = Duration::from_secs(30);

/// Talks with the owner on the whole screen until they leave. Gives the conversation that was open at the end.
pub(super) async fn run(paths: &Paths, start: bool, begin: Begin, look: Look) -> Outcome<Option<String>> {
    let asks = consent::due(&mut connect(paths, start).await?).await?;
    let (events, inbox) = mpsc::channel(BACKLOG);
    let daemon = Daemon { paths: paths.clone(), start, events };
    let screen = Screen::take()?;
    let listening = tokio::spawn(daemon.clone().listen());
    let mut running = Running {
        state: State {
            size: screen.size()?,
            now: millis() / 1000,
            home: std::env::var("HOME").ok().filter(|home| home.len() > 1),
            data: paths.data.to_string_lossy().into_owned(),
            ..State::default()
        },
        view: View::new(Theme { colour: look.colour }),
        screen,
        daemon,
        answering: Answering::default(),
        inbox,
        typed: Some(EventStream::new()),
        ends: Ends::new()?,
    };
    if asks {
        running.state.update(Event::ConsentDue);
    }
    let first = running.state.update(Event::Begin(begin));
    let ended = running.until_left(first).await;
    listening.abort();
    ended?;
    Ok(running.state.session)
}

struct Running {
    state: State,
    view: View,
    screen: Screen,
    daemon: Daemon,
    answering: Answering,
    inbox: Receiver<Event>,
    /// None while somebody else has the terminal.
    typed: Option<EventStream>,
    ends: Ends,
}

/// Why the loop goes on or ends.
enum Next {
    Event(Option<Event>),
    Ended,
}

impl Running {
    async fn until_left(&mut self, first: Vec<Effect>) -> Outcome {
        let mut left = self.carry_out(first).await?;
        while !left {
            self.draw()?;
            let mut next = self.next().await?;
            for _ in 0..AT_ONCE {
                self.state.update(Event::Tick(millis()));
                let Next::Event(event) = next else { return Err(Failure::Silent(Exit::Failed)) };
                if let Some(event) = event {
                    let effects = self.state.update(event);
                    left |= self.carry_out(effects).await?;
                }
                // What is there already is taken in before anything is drawn.
                let more = tokio::select! {
                    biased;
                    more = self.next() => Some(more?),
                    () = std::future::ready(()) => None,
                };
                match more {
                    Some(more) if !left => next = more,
                    _ => break,
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> Outcome {
        if self.screen.lost() {
            return Err(Failure::failed("something of this program broke; the lines above tell what"));
        }
        let (state, view) = (&self.state, &mut self.view);
        let mut drawn = state.drawn;
        self.screen.draw(|frame| drawn = view.draw(state, frame))?;
        self.state.update(Event::Drawn(drawn));
        Ok(())
    }

    async fn next(&mut self) -> Outcome<Next> {
        let pause = match (self.state.answering(), self.state.approvals.is_empty()) {
            (Some(_), _) => TURNING,
            (None, false) => COUNTING,
            (None, true) => RESTING,
        };
        Ok(tokio::select! {
            biased;
            () = self.ends.come() => Next::Ended,
            typed = async { self.typed.as_mut()?.next().await } => match typed {
                Some(Ok(typed)) => Next::Event(event(typed)),
                // The terminal is gone.
                Some(Err(_)) | None => Next::Ended,
            },
            Some(event) = self.inbox.recv() => Next::Event(Some(event)),
            () = tokio::time::sleep(pause) => Next::Event(None),
        })
    }

    /// True: the owner leaves.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Outcome<bool> {
        let mut left = false;
        for effect in effects {
            match effect {
                Effect::Leave => left = true,
                Effect::Redraw => self.screen.clear()?,
                Effect::Suspend => self.suspend()?,
                Effect::Open { path, line } => self.open(&path, line).await?,
                effect => self.daemon.carry_out(effect, &mut self.answering),
            }
        }
        Ok(left)
    }

    fn suspend(&mut self) -> Outcome {
        self.screen.lend();
        let stopped = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        stopped.map_err(io::Error::from)?;
        // Here it goes on, in the foreground again.
        self.taken_again()
    }

    fn taken_again(&mut self) -> Outcome {
        self.screen.take_again()?;
        let (width, height) = self.screen.size()?;
        self.state.update(Event::Resized(width, height));
        Ok(())
    }

    async fn open(&mut self, path: &str, line: u32) -> Outcome {
        let event = match open::way(path, line, &Around::here()) {
            Way::Tell(words) => Event::Noted(words),
            Way::Desktop(program, arguments) => {
                let quiet = (Stdio::null(), Stdio::null(), Stdio::null());
                let mut command = tokio::process::Command::new(&program);
                command.args(arguments).stdin(quiet.0).stdout(quiet.1).stderr(quiet.2).process_group(0);
                match command.spawn() {
                    Ok(_) => told("Opened."),
                    Err(error) => Event::Noted(format!("{path}:{line} ({}: {error})", program.display())),
                }
            }
            Way::Editor(program, arguments) => {
                // Nobody else may read what is typed there. The next reader waits for the one before to be gone.
                self.typed = None;
                self.screen.lend();
                let ended = tokio::process::Command::new(&program).args(arguments).status().await;
                self.taken_again()?;
                self.typed = Some(EventStream::new());
                match ended {
                    Ok(_) => return Ok(()),
                    Err(error) => Event::Noted(format!("{path}:{line} ({}: {error})", program.display())),
                }
            }
        };
        self.state.update(event);
        Ok(())
    }
}

/// What is typed, as the core knows it; `None`: it means nothing here.
fn event(typed: Typed) -> Option<Event> {
    match typed {
        Typed::Key(key) => Some(Event::Key(key)),
        Typed::Paste(text) => Some(Event::Paste(text)),
        Typed::Resize(width, height) => Some(Event::Resized(width, height)),
        Typed::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Event::Wheel(-NOTCH)),
            MouseEventKind::ScrollDown => Some(Event::Wheel(NOTCH)),
            _ => None,
        },
        Typed::FocusGained | Typed::FocusLost => None,
    }
}

/// Signals that end the program after the terminal was given back. SIGINT is not one: Ctrl-C is a key here, and a
/// program that has the terminal for a while may be sent one.
struct Ends {
    terminated: Signal,
    hung_up: Signal,
    interrupted: Signal,
}

impl Ends {
    fn new() -> io::Result<Ends> {
        Ok(Ends {
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
            interrupted: signal(SignalKind::interrupt())?,
        })
    }

    async fn come(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminated.recv() => return,
                _ = self.hung_up.recv() => return,
                _ = self.interrupted.recv() => {}
            }
        }
    }
}

fn millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
