//! A directory as a bucket, so that everything works with no server at all.
//!
//! A directory keeps none of a bucket's promises: its listing has no order, a path can leave the
//! root by a symbolic link, and a file can change while it is read and keep its name, its size
//! and even its modification time. [`LocalBucket`] restores them: a `Walk` lists keys in the
//! byte order of the whole key, page by page; the ETag is made of device, inode, size, mtime and
//! ctime, which no program can set back; and a get compares it before and after it reads.
//!
//! What is an object: a regular file, by its path relative to the root. Symbolic links are
//! followed where they stay inside the root and lead into no directory that is already on the
//! path. Links that leave the root, links to nothing, loops, sockets and devices are no objects,
//! nor are empty directories.
//!
//! What no key can name is in [`ListPage::unaddressable`] in percent form, and costs the rest of
//! the listing nothing: a name that is not UTF-8, a key of more than [`MAX_KEY`] bytes, and, as
//! `dir/`, a directory that cannot be read or whose own name is one of these.
//!
//! Errors never hold a path of this machine: an agent reads them.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{
    Bucket, BucketId, Call, ETag, GetRequest, Got, Headers, ListPage, ListRequest, MAX_GET,
    MAX_KEY, Meter, Object, PEEK_BOUNDS, Permits, deadline::within, longer, percent,
};
use crate::{
    error::{Error, Kind, Result},
    platform::{BoxFuture, Platform},
};

#[cfg(all(test, unix))]
mod tests;
mod walk;

use walk::{Position, Walk};

/// A file modified more recently than this is not trusted: a write within the same tick of the
/// file system's clock changes neither of its times. Two seconds is the coarsest clock in use
/// (FAT).
const SETTLED: Duration = Duration::from_secs(2);

/// Keys on a page, as S3 has it.
const PAGE: usize = 1000;

/// Listings under way whose directories are kept open between pages; a listing beyond these
/// finds its place again by its token.
const WALKS: usize = 4;

/// A directory, read as a bucket. See the module's head.
#[derive(Debug)]
pub struct LocalBucket {
    root: Arc<Root>,
    permits: Permits,
    platform: Platform,
}

#[derive(Debug)]
struct Root {
    // Canonical, so that a canonical path can be tested against it.
    path: PathBuf,
    id: BucketId,
    walks: Mutex<Vec<(u64, Walk)>>,
    // The next number for a walk.
    numbers: AtomicU64,
}

impl LocalBucket {
    /// The directory at `path`. Lists and gets take a permit of `permits`, as requests do.
    ///
    /// # Errors
    /// [`Kind::Config`] when nothing or no directory is there, [`Kind::Forbidden`] when it may not
    /// be read.
    pub fn open(path: &Path, permits: Permits, platform: Platform) -> Result<Self> {
        let opened = path.canonicalize().and_then(|path| {
            let metadata = fs::metadata(&path)?;
            fs::read_dir(&path)?;
            Ok((path, metadata))
        });
        let (path, metadata) = opened.map_err(|error| {
            let (kind, what, next) = match error.kind() {
                io::ErrorKind::NotFound => (
                    Kind::Config,
                    "there is no such directory",
                    "check the path; a relative one starts at the working directory, or at the configuration file that names it",
                ),
                io::ErrorKind::NotADirectory => (
                    Kind::Config,
                    "the location is a file, not a directory",
                    "name the directory that holds it",
                ),
                io::ErrorKind::PermissionDenied => (
                    Kind::Forbidden,
                    "the directory may not be read",
                    "give this user read and search permission on it",
                ),
                _ => (Kind::Io, "the directory cannot be opened", "check that it is a directory"),
            };
            Error::new(kind, what).hint(next).because(error)
        })?;
        let id = BucketId::of(&[
            "file",
            &percent(path.as_os_str().as_encoded_bytes()),
            &format!("{:?}", walk::identity(&path, &metadata)),
        ]);
        // Numbers differ between processes too, for a token may outlive one.
        let numbers = AtomicU64::new(platform.wall_clock().as_nanos() as u64);
        let root = Arc::new(Root { path, id, walks: Mutex::default(), numbers });
        Ok(Self { root, permits, platform })
    }

    fn in_time(&self, call: &Call) -> Result<()> {
        match call.deadline {
            Some(deadline) if self.platform.monotonic() >= deadline => Err(too_late()),
            _ => Ok(()),
        }
    }

    /// The job's answer, if it and a permit for it come before the deadline. A system call on a
    /// file system that hangs cannot be stopped, only left alone.
    async fn job<T: Send + 'static>(
        &self,
        call: &Call,
        count: fn(&Meter),
        job: impl FnOnce(&Root) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = async {
            let permit = self.permits.acquire().await?;
            count(&call.meter);
            let root = Arc::clone(&self.root);
            // Held by the job: one that was left alone still keeps the disk busy.
            let job = move || {
                let _permit = permit;
                job(&root)
            };
            self.platform.blocking(job).await.ok_or_else(stopped)?
        };
        within(&self.platform, call.deadline, work).await.unwrap_or_else(|| Err(too_late()))
    }
}

impl Bucket for LocalBucket {
    fn id(&self) -> BucketId {
        self.root.id
    }

    fn worth_disk_cache(&self) -> bool {
        false
    }

    /// Neither a recent mtime nor a recent ctime: programs set mtime back, never ctime. A time in
    /// the future is recent too.
    fn trusts(&self, object: &Object) -> bool {
        let now = self.platform.wall_clock().as_nanos() as i128;
        times(&object.etag).is_some_and(|(modified, changed)| {
            modified.max(changed) + SETTLED.as_nanos() as i128 <= now
        })
    }

    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        let call = call.clone();
        Box::pin(async move {
            self.in_time(&call)?;
            self.job(&call, Meter::list, move |root| root.list(&request)).await
        })
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        let call = call.clone();
        Box::pin(async move {
            self.in_time(&call)?;
            let bytes = self.job(&call, Meter::get, move |root| root.get(&request)).await?;
            call.meter.received(bytes.len() as u64);
            Ok(Got { bytes, headers: Arc::new(Headers::default()) })
        })
    }

    fn peek(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        let (call, key) = (call.clone(), key.to_owned());
        Box::pin(async move {
            self.in_time(&call)?;
            let seen = self.job(&call, Meter::get, move |root| root.peek(key, max)).await?;
            if let Some((object, _)) = &seen {
                call.meter.received(object.size);
            }
            Ok(seen)
        })
    }
}

impl Root {
    fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let (number, mut walk) = match &request.token {
            None => {
                let after = request.start_after.clone().map(Position::at);
                (None, Walk::start(&self.path, request, after)?)
            }
            Some(token) => {
                let (number, position) = Token::parse(token)?;
                let walk = match self.resume(number, &position, request) {
                    Some(walk) => walk,
                    None => Walk::start(&self.path, request, Some(position))?,
                };
                (Some(number), walk)
            }
        };
        let max = request.max_keys.map_or(PAGE, |max| PAGE.min(max as usize)).max(1);
        let mut page = walk.page(max);
        if let Some(position) = walk.more() {
            let number = number.unwrap_or_else(|| self.numbers.fetch_add(1, Relaxed));
            page.truncated = true;
            page.next = Some(Token::format(number, position));
            let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
            if walks.len() == WALKS {
                walks.remove(0);
            }
            walks.push((number, walk));
        }
        Ok(page)
    }

    /// The walk that gave this token, where it stands. A walk of the same number at another place
    /// or for another prefix is not it.
    fn resume(&self, number: u64, at: &Position, request: &ListRequest) -> Option<Walk> {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = walks.iter().position(|(kept, walk)| {
            *kept == number && walk.lists(request) && walk.more() == Some(at)
        })?;
        Some(walks.remove(found).1)
    }

    fn get(&self, request: &GetRequest) -> Result<Bytes> {
        let GetRequest { object, range } = request;
        if range.start > range.end || range.end > object.size || range.end - range.start > MAX_GET {
            return Err(Error::new(Kind::InvalidArgument, "the range is not one of the object's")
                .hint("ask for at most 8 MiB inside the object"));
        }
        let mut file = self.file(&object.key).map_err(of_a_file)?;
        let unchanged = |file: &File| -> Result<()> {
            let metadata = file.metadata().map_err(of_a_file)?;
            if metadata.is_file() && etag(&metadata) == object.etag {
                Ok(())
            } else {
                Err(changed())
            }
        };
        unchanged(&file)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.seek(SeekFrom::Start(range.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(of_a_file)?;
        unchanged(&file)?;
        Ok(Bytes::from(bytes))
    }

    fn peek(&self, key: String, max: u64) -> Result<Option<(Object, Bytes)>> {
        if !PEEK_BOUNDS.contains(&max) {
            return Err(Error::new(Kind::InvalidArgument, "the bound of a peek is out of bounds")
                .hint("ask for 1 byte to 8 MiB"));
        }
        let mut file = match self.file(&key) {
            Ok(file) => file,
            Err(error) if walk::gone(&error) => return Ok(None),
            Err(error) => return Err(of_a_file(error)),
        };
        let metadata = file.metadata().map_err(of_a_file)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        if metadata.len() > max {
            return Err(longer(max, Some(metadata.len())));
        }
        let mut bytes = vec![0; metadata.len() as usize];
        file.read_exact(&mut bytes).map_err(of_a_file)?;
        if etag(&file.metadata().map_err(of_a_file)?) != etag(&metadata) {
            return Err(changed());
        }
        Ok(Some((object(key, &metadata), Bytes::from(bytes))))
    }

    /// Opens the file of a key. Links are resolved first and the result must be inside the root;
    /// what is swapped between that and the opening has another inode than the ETag says.
    fn file(&self, key: &str) -> io::Result<File> {
        let path = walk::path_of(&self.path, key).ok_or(io::ErrorKind::NotFound)?;
        let path = path.canonicalize()?;
        if !path.starts_with(&self.path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            use std::os::unix::fs::OpenOptionsExt;
            // A pipe that took the file's place must not make the opening wait for a writer.
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            options.custom_flags(flags.bits() as i32);
        }
        options.open(path)
    }
}

/// A continuation token: the number of the walk, what kind of place it is, and the place.
struct Token;

impl Token {
    fn format(number: u64, position: &Position) -> String {
        let kind = if position.whole { 'd' } else { 'k' };
        format!("{number:x}.{kind}.{}", position.key)
    }

    fn parse(token: &str) -> Result<(u64, Position)> {
        let parse = || {
            let mut parts = token.splitn(3, '.');
            let number = u64::from_str_radix(parts.next()?, 16).ok()?;
            let whole = match parts.next()? {
                "d" => true,
                "k" => false,
                _ => return None,
            };
            Some((number, Position { key: parts.next()?.to_owned(), whole }))
        };
        parse().ok_or_else(|| {
            Error::new(Kind::InvalidArgument, "the continuation token is not one of this listing")
                .hint("start the listing again")
        })
    }
}

/// Hex of device, inode, size, and mtime and ctime in nanoseconds since the Unix epoch.
pub(super) fn etag(metadata: &Metadata) -> ETag {
    let size = metadata.len();
    #[cfg(unix)]
    let (device, inode, modified, changed) = {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        (
            metadata.dev(),
            metadata.ino(),
            nanos(metadata.mtime(), metadata.mtime_nsec()),
            nanos(metadata.ctime(), metadata.ctime_nsec()),
        )
    };
    #[cfg(not(unix))]
    let (device, inode, modified, changed) = {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.map_or(0, |since| since.as_nanos() as i128);
        (0, 0, modified, modified)
    };
    ETag(format!("{device:x}-{inode:x}-{size:x}-{modified:x}-{changed:x}").into())
}

/// mtime and ctime of an [`etag`].
fn times(etag: &ETag) -> Option<(i128, i128)> {
    let mut fields = etag.0.rsplit('-');
    // Times before 1970 are printed in two's complement.
    let mut time = || u128::from_str_radix(fields.next()?, 16).ok().map(|time| time as i128);
    let changed = time()?;
    Some((time()?, changed))
}

/// The object of a file.
pub(super) fn object(key: String, metadata: &Metadata) -> Object {
    let modified = metadata.modified().ok().map(|time| match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    });
    Object { key, size: metadata.len(), etag: etag(metadata), modified, archived: false }
}

fn of_a_file(error: io::Error) -> Error {
    let (kind, what, next) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            (Kind::NotFound, "the file is gone", "list its directory again")
        }
        io::ErrorKind::PermissionDenied => {
            (Kind::Forbidden, "the file may not be read", "give this user read permission on it")
        }
        // It is shorter than it was.
        io::ErrorKind::UnexpectedEof => return changed(),
        _ => (Kind::Io, "the file cannot be read", "check the disk it lies on"),
    };
    Error::new(kind, what).hint(next).because(error)
}

fn too_late() -> Error {
    Error::new(Kind::Deadline, "the deadline passed before the directory answered")
        .hint("allow more time or ask for less")
}

fn changed() -> Error {
    Error::new(Kind::Changed, "the file changed since it was listed").hint("list and read it again")
}

fn stopped() -> Error {
    Error::new(Kind::Cancelled, "the runtime is shutting down")
}
