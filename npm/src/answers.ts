/**
 * What the tools answer to programs. The server's `GET /openapi.json` is the authority; these are
 * the fields a TypeScript program is likely to want. Paths are canonical, times are milliseconds
 * since the Unix epoch, sizes are bytes as stored.
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
  /** When the oldest listing used began. */
  as_of: number | null;
  cost: Record<string, number>;
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
