/** What zod finds wrong, in the words of this project. Pure. */

/**
 * `Invalid input: expected array, received undefined` is read by the person who left a key out: `is missing`.
 * A message that a schema gives itself stays as it is.
 */
export function issueWords(message: string): string {
  return message
    .replace(/^Invalid input: expected .*, received undefined$/s, 'is missing')
    .replace(/^Invalid input: expected (\w+), received (\w+)$/, (_, wanted, got) => {
      return `must be ${withArticle(wanted)}, not ${withArticle(got)}`
    })
    .replace(/^Invalid (?:input|option): expected /, 'must be ')
    .replace(/^Invalid discriminator value\. Expected /, 'must be one of ')
    .replace(/^Too (?:small|big): expected \w+ to (be|have) /, 'must $1 ')
}

function withArticle(type: string): string {
  if (type === 'null') return type
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`
}
