/** Version of Rekey, written into every audit record and user agent. A test holds it equal to package.json. */
export const REKEY_VERSION = '0.1.0';
