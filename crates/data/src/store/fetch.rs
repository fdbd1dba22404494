use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bezoar_core::{Context, Error, Result, digest_file};
use md5::Md5;
use sha2::Sha256;
use ureq::Agent;
use ureq::http::Response;

use super::unpack::unpack;
use super::{beside, make_room, ways_to_use_a_copy};
use crate::{Archive, Card};

/// Attempts in a row that may end without a new byte.
const ATTEMPTS: u32 = 3;

/// Downloads an edition of a data set (without a name: the first that can be downloaded), checks it and unpacks it into
/// `folder`.
///
/// Downloads lie beside the folder until all is done. If anything stops it, the next call goes on where this one stopped.
///
/// # Errors
/// When the folder is taken, the edition cannot be downloaded, the server fails, or a file is not the one on the card.
pub fn fetch(card: &Card, edition: Option<&str>, folder: &Path, cx: &Context) -> Result<()> {
    let edition = card.edition(edition)?;
    if edition.archives.is_empty() {
        let problem = format!("the edition `{}` of {} cannot be downloaded", edition.name, card.name);
        return Err(Error::request(problem).with_help(ways_to_use_a_copy(card)));
    }
    make_room(folder)?;
    let staging = beside(folder, ".part");
    let unpacked = staging.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(|error| Error::io(&unpacked, error))?;
    }
    fs::create_dir_all(&unpacked).map_err(|error| Error::io(&unpacked, error))?;
    let files = edition.archives.iter().map(|archive| download(card, archive, &staging, cx)).collect::<Result<Vec<_>>>()?;
    for file in files {
        unpack(&file, &unpacked, cx)?;
    }
    fs::rename(&unpacked, folder).map_err(|error| Error::io(folder, error))?;
    fs::remove_dir_all(&staging).map_err(|error| Error::io(&staging, error))
}

/// Downloads a file into a folder, or what is missing of it, and checks it.
fn download(card: &Card, archive: &Archive, folder: &Path, cx: &Context) -> Result<PathBuf> {
    let file = folder.join(archive.file_name());
    if !file.exists() {
        let part = beside(&file, ".part");
        transfer(card, archive, &part, cx)?;
        fs::rename(&part, &file).map_err(|error| Error::io(&file, error))?;
    }
    if let Err(error) = check(archive, &file) {
        fs::remove_file(&file).map_err(|error| Error::io(&file, error))?;
        return Err(error);
    }
    Ok(file)
}

/// Why a transfer ended before its end.
enum Stop {
    /// For good.
    Error(Error),
    /// By the network or the server; another attempt may go on.
    Broken(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Downloads into `part`, which may hold the beginning already, until it has its full size.
fn transfer(card: &Card, archive: &Archive, part: &Path, cx: &Context) -> Result<()> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .timeout_per_read(Some(Duration::from_mins(1)))
        .user_agent(concat!("bezoar/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut idle = 0;
    loop {
        let have = fs::metadata(part).map_or(0, |facts| facts.len());
        if have == archive.bytes {
            return Ok(());
        }
        let problem = match attempt(&agent, archive, part, have, cx) {
            Ok(()) => "the server ended before the end of the file".to_owned(),
            Err(Stop::Broken(problem)) => problem,
            Err(Stop::Error(error)) => return Err(error),
        };
        idle = if fs::metadata(part).map_or(0, |facts| facts.len()) > have { 0 } else { idle + 1 };
        if idle == ATTEMPTS {
            let help = format!("run the same command again to go on where it stopped; or do without: {}", ways_to_use_a_copy(card));
            return Err(Error::data(&archive.url, problem).with_help(help));
        }
    }
}

/// Asks once for what comes after the first `have` bytes and appends it to `part`.
fn attempt(agent: &Agent, archive: &Archive, part: &Path, have: u64, cx: &Context) -> Result<(), Stop> {
    cx.check()?;
    let request = agent.get(&archive.url).header("Accept-Encoding", "identity");
    let request = if have > 0 { request.header("Range", format!("bytes={have}-")) } else { request };
    let response = request.call().map_err(|error| Stop::Broken(error.to_string()))?;
    let start = match response.status().as_u16() {
        200 => 0,
        206 if range(&response).is_some_and(|(first, _)| first == have) => have,
        206 | 416 => {
            // The server's file has another size than what lies here: nothing of that is of use.
            fs::remove_file(part).map_err(|error| Error::io(part, error))?;
            return Err(Stop::Broken("the server has another part of the file than was asked for".to_owned()));
        }
        500.. => return Err(Stop::Broken(format!("the server answers {}", response.status()))),
        _ => return Err(Error::data(&archive.url, format!("the server answers {}", response.status())).into()),
    };
    if let Some(total) = total(&response).filter(|&total| total != archive.bytes) {
        return Err(wrong_file(archive, &format!("the server has {total} bytes where the card says {}", archive.bytes)).into());
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(start > 0)
        .truncate(start == 0)
        .open(part)
        .map_err(|error| Error::io(part, error))?;
    let task = cx.task(&format!("downloading {}", archive.file_name()), archive.bytes);
    task.resume(start);
    let mut left = archive.bytes - start;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        cx.check()?;
        let read = body.read(&mut buffer).map_err(|error| Stop::Broken(error.to_string()))?;
        if read == 0 {
            return Ok(file.sync_all().map_err(|error| Error::io(part, error))?);
        }
        left = left
            .checked_sub(read as u64)
            .ok_or_else(|| wrong_file(archive, &format!("the server sends more than {} bytes", archive.bytes)))?;
        file.write_all(&buffer[..read]).map_err(|error| Error::io(part, error))?;
        task.advance(read as u64);
    }
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The first byte and the whole file's size, from `Content-Range: bytes FIRST-LAST/TOTAL`.
fn range<T>(response: &Response<T>) -> Option<(u64, Option<u64>)> {
    let (range, total) = header(response, "Content-Range")?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// The whole file's size, if the server says it.
fn total<T>(response: &Response<T>) -> Option<u64> {
    match range(response) {
        Some((_, total)) => total,
        None => header(response, "Content-Length")?.parse().ok(),
    }
}

/// Compares a downloaded file to the card.
fn check(archive: &Archive, path: &Path) -> Result<()> {
    let digests = [("MD5", digest_file::<Md5>(path)?, &archive.md5), ("SHA-256", digest_file::<Sha256>(path)?, &archive.sha256)];
    for (name, found, expected) in digests {
        if found != *expected {
            return Err(wrong_file(archive, &format!("what came has the {name} digest {found} where the card says {expected}")));
        }
    }
    Ok(())
}

fn wrong_file(archive: &Archive, problem: &str) -> Error {
    Error::data(&archive.url, problem)
        .with_help("run the same command again to download it anew; if that does not help, the file was changed at its source")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use bezoar_core::{Counts, hex};
    use md5::Digest;

    use super::super::unpack::tests::archive;
    use super::*;
    use crate::{Edition, card};

    /// How the server behaves at one request.
    #[derive(Clone, Copy, Debug)]
    enum Manner {
        /// Sends what is asked for.
        Good,
        /// Says how long the answer is and hangs up after so many bytes of it.
        HangUp(usize),
        /// Knows no `Range`.
        Whole,
        /// Sends the wrong part of the file.
        WrongPart,
        /// Says no length, sends all, then closes.
        NoLength,
        /// Answers with this status.
        Status(u16),
    }

    /// A server on loopback that serves one file; it behaves as listed, then well. Keeps the first byte asked for at each request.
    struct Server {
        address: String,
        asked: Arc<Mutex<Vec<u64>>>,
    }

    impl Server {
        fn start(file: Vec<u8>, manners: Vec<Manner>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let asked = Arc::new(Mutex::new(Vec::new()));
            let log = asked.clone();
            std::thread::spawn(move || {
                let mut manners = manners.into_iter();
                for stream in listener.incoming() {
                    let manner = manners.next().unwrap_or(Manner::Good);
                    // A client that hangs up early is no failure of the server.
                    let _ = serve(stream.unwrap(), &file, manner, &log);
                }
            });
            Self { address, asked }
        }

        fn asked(&self) -> Vec<u64> {
            self.asked.lock().unwrap().clone()
        }

        fn card(&self, file: &[u8]) -> Card {
            let archive = Archive {
                url: format!("{}/tiny.zip", self.address),
                bytes: file.len() as u64,
                md5: hex(&Md5::digest(file)),
                sha256: hex(&Sha256::digest(file)),
            };
            let images = Counts { train: 0, validation: 0, test: 0 };
            let edition = Edition { name: "tiny".to_owned(), summary: String::new(), images, archives: vec![archive] };
            Card { editions: vec![edition], ..card("gtsrb").unwrap().clone() }
        }
    }

    fn serve(mut stream: TcpStream, file: &[u8], manner: Manner, log: &Mutex<Vec<u64>>) -> std::io::Result<()> {
        let mut first = 0;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?.to_ascii_lowercase();
            if let Some(range) = line.strip_prefix("range: bytes=") {
                first = range.trim_end_matches('-').parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        log.lock().unwrap().push(first as u64);
        let (status, part) = match manner {
            Manner::Status(status) => (status.to_string(), &[][..]),
            Manner::Whole | Manner::NoLength => ("200 OK".to_owned(), file),
            _ if first >= file.len() => ("416 Range Not Satisfiable".to_owned(), &[][..]),
            _ if first > 0 => ("206 Partial Content".to_owned(), &file[first..]),
            _ => ("200 OK".to_owned(), file),
        };
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
        if !matches!(manner, Manner::NoLength) {
            write!(stream, "Content-Length: {}\r\n", part.len())?;
        }
        if status.starts_with("206") {
            let start = if matches!(manner, Manner::WrongPart) { first - 1 } else { first };
            write!(stream, "Content-Range: bytes {start}-{}/{}\r\n", file.len() - 1, file.len())?;
        }
        stream.write_all(b"\r\n")?;
        let sent = if let Manner::HangUp(bytes) = manner { bytes.min(part.len()) } else { part.len() };
        stream.write_all(&part[..sent])
    }

    /// A ZIP file of some size: its content does not compress.
    fn zip() -> Vec<u8> {
        let noise: Vec<u8> = (0u64..3_000).flat_map(|i| Sha256::digest(i.to_le_bytes()).to_vec()).collect();
        archive(&[("deep/file", &noise)])
    }

    fn run(card: &Card, root: &tempfile::TempDir) -> Result<()> {
        fetch(card, None, &root.path().join("data"), &Context::quiet(0))
    }

    fn part(root: &tempfile::TempDir) -> PathBuf {
        root.path().join("data.part/tiny.zip.part")
    }

    #[test]
    fn a_file_is_downloaded_checked_and_unpacked() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), Vec::new());
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(fs::metadata(root.path().join("data/deep/file")).unwrap().len(), 96_000);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing else is left behind");
        assert!(run(&server.card(&zip()), &root).unwrap_err().to_string().contains("there already"));
        assert_eq!(server.asked(), [0]);
    }

    #[test]
    fn a_broken_connection_is_taken_up_again() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::HangUp(1000), Manner::HangUp(500), Manner::Status(503)]);
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [0, 1000, 1500, 1500]);
    }

    #[test]
    fn a_later_run_goes_on_where_the_first_stopped() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::HangUp(2000), Manner::HangUp(0), Manner::HangUp(0), Manner::HangUp(0)]);
        let error = run(&server.card(&zip()), &root).unwrap_err();
        let help = error.help().unwrap();
        assert!(["again", "import gtsrb", "BEZOAR_DATA"].iter().all(|way| help.contains(way)), "{help}");
        assert_eq!(fs::metadata(part(&root)).unwrap().len(), 2000);
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [0, 2000, 2000, 2000, 2000]);
    }

    #[test]
    fn a_server_without_ranges_starts_over() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::HangUp(1000), Manner::Whole]);
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [0, 1000]);
    }

    #[test]
    fn a_wrong_part_or_too_much_is_thrown_away() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::HangUp(1000), Manner::WrongPart]);
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [0, 1000, 0]);

        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("data.part")).unwrap();
        fs::write(part(&root), vec![0; zip().len() + 10]).unwrap();
        let server = Server::start(zip(), Vec::new());
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [zip().len() as u64 + 10, 0]);
    }

    #[test]
    fn another_size_is_refused_before_it_is_downloaded() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), Vec::new());
        let error = run(&server.card(&[zip(), vec![0]].concat()), &root).unwrap_err().to_string();
        assert!(error.contains(&format!("has {} bytes where the card says {}", zip().len(), zip().len() + 1)), "{error}");
        assert!(!part(&root).exists());
    }

    #[test]
    fn more_than_the_card_says_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::NoLength]);
        let error = run(&server.card(&zip()[..50_000]), &root).unwrap_err().to_string();
        assert!(error.contains("sends more than 50000 bytes"), "{error}");
    }

    #[test]
    fn a_wrong_checksum_is_refused_and_downloaded_anew() {
        let root = tempfile::tempdir().unwrap();
        let mut other = zip();
        other[50] ^= 1;
        let server = Server::start(zip(), Vec::new());
        let error = run(&server.card(&other), &root).unwrap_err().to_string();
        assert!(error.contains("MD5 digest"), "{error}");
        let mut card = server.card(&zip());
        card.editions[0].archives[0].sha256 = server.card(&other).editions[0].archives[0].sha256.clone();
        assert!(run(&card, &root).unwrap_err().to_string().contains("SHA-256 digest"));
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [0, 0, 0]);
    }

    #[test]
    fn a_damaged_beginning_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("data.part")).unwrap();
        fs::write(part(&root), vec![0; 1000]).unwrap();
        let server = Server::start(zip(), Vec::new());
        assert!(run(&server.card(&zip()), &root).unwrap_err().to_string().contains("digest"));
        run(&server.card(&zip()), &root).unwrap();
        assert_eq!(server.asked(), [1000, 0]);
    }

    #[test]
    fn refusals_of_the_server_are_passed_on() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(zip(), vec![Manner::Status(404)]);
        assert!(run(&server.card(&zip()), &root).unwrap_err().to_string().contains("404"));
        assert_eq!(server.asked().len(), 1, "what is not there is asked for once");
        let mut card = server.card(&zip());
        card.editions[0].archives[0].url = "http://127.0.0.1:1/tiny.zip".to_owned();
        assert!(matches!(run(&card, &root), Err(Error::Data { .. })));
    }

    #[test]
    fn what_cannot_be_downloaded_is_said() {
        let folder = Path::new("nowhere");
        let cx = Context::quiet(0);
        let error = fetch(card("gtsrb").unwrap(), Some("thesis"), folder, &cx).unwrap_err();
        assert!(error.help().unwrap().contains("import gtsrb"));
        assert!(fetch(card("signs").unwrap(), None, folder, &cx).unwrap_err().to_string().contains("rendered"));
    }
}
