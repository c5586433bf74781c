/** What the system says of a connection, in words. */
const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  EHOSTUNREACH: 'no route to that host',
  ENETUNREACH: 'no route to that network',
  ETIMEDOUT: 'no connection within the time limit',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
}

/** In plain words, why the connection of that text failed; undefined when the text names none of the known reasons. Pure. */
export function systemWords(text: string): string | undefined {
  const code = Object.keys(SYSTEM_WORDS).find(each => text.includes(each))
  return SYSTEM_WORDS[code ?? '']
}
