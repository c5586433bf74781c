/** Version of the product, as in package.json; a test compares the two. */
export const VERSION = '0.1.0'

/**
 * What controller and agent must have in common. Raised only when an old side would misunderstand a new one;
 * added fields do not need it. A controller serves MIN_PROTOCOL..PROTOCOL_VERSION and tells others so in words.
 */
export const PROTOCOL_VERSION = 1
export const MIN_PROTOCOL_VERSION = 1
