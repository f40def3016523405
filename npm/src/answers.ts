/**
 * What the tools answer to programs. Paths are canonical, times are milliseconds since the Unix
 * epoch, sizes are bytes as stored; what is absent is not known or does not apply.
 */

/** What an answer is worth. */
export interface Envelope {
  /** Nothing that was asked for is missing. */
  complete: boolean;
  /** Why the answer is not complete. */
  incomplete?: { reason: string; detail: string }[];
  listed: number;
  searched: number;
  matched: number;
  skipped?: { path: string; reason: string; detail: string }[];
  skipped_by_reason?: Record<string, number>;
  /** What an index did for the answer, where one was used. */
  index?: { built_at: number; narrowed: boolean; left_out: number; packed: number; uncovered: number };
  /** When the oldest listing used began. */
  as_of: number | null;
  /** Objects that are an index's own files, and so are not shown. */
  reserved?: number;
  /** Requests and bytes. */
  cost: {
    list_requests: number;
    get_requests: number;
    retries: number;
    bytes_fetched: number;
    cache_hits: number;
    [more: string]: number;
  };
  elapsed_ms: number;
  /** Hand this back to go on where the answer stops. */
  cursor?: string;
  notes?: string[];
  [more: string]: unknown;
}

/** Any answer: its own fields beside the envelope. */
export interface Answer {
  envelope: Envelope;
  [field: string]: unknown;
}

export interface ListAnswer extends Answer {
  /** A directory's path ends in `/`; it has neither size nor time. */
  entries: { path: string; size?: number; modified?: number }[];
}

export interface StatAnswer extends Answer {
  path: string;
  kind: 'file' | 'directory';
  size?: number;
  modified?: number;
  etag?: string;
  /** A file and a directory of this name exist side by side. */
  also_dir?: boolean;
  /** As the bucket has it, once something was read. */
  content_type?: string;
  /** Lines, once they are known. */
  lines?: number;
  /** Whether an index holds this version, where there is an index. */
  indexed?: boolean;
  /** It must be restored before it can be read. */
  archived?: boolean;
}

export interface ReadAnswer extends Answer {
  path: string;
  size: number;
  etag: string;
  lines: { number?: number; text: string; cut?: number }[];
  next_offset?: number;
  total_lines?: number;
  binary?: boolean;
}

export interface GlobAnswer extends Answer {
  paths: string[];
}

export interface GrepAnswer extends Answer {
  files: {
    path: string;
    count?: number;
    lines?: { line: number; text: string; context?: boolean; cut?: boolean }[];
  }[];
  /** Of a `dry_run`: what the scan would take. */
  estimate?: { objects: number; bytes: number; list_requests: number; get_requests: number };
}

export interface SearchAnswer extends Answer {
  hits: {
    path: string;
    title: string;
    /** The headings that the section stands under, outermost first. */
    heading: string[];
    /** The first and last line of the section: `read` takes them. */
    lines: [number, number];
    /** Comparable only within one answer. */
    score: number;
    snippet: string;
    /** Byte ranges of the snippet that hold words of the question. */
    marks: [number, number][];
    etag: string;
    modified?: number;
  }[];
}

/** Answers by tool. */
export interface Answers {
  list: ListAnswer;
  stat: StatAnswer;
  read: ReadAnswer;
  glob: GlobAnswer;
  grep: GrepAnswer;
  search: SearchAnswer;
}

/** The name of a tool. */
export type ToolName = keyof Answers;
