/** The file's text for what `r2vfs tool --schemas` prints. */
export function generated(schemas: string): string;
/** What the program `binary` says its tools are. */
export function schemasOf(binary: string): string;
