import { CredentialError } from './errors.ts';
import type { Stage, VaultVersion } from './vault.ts';

/**
 * One version of a secret. Printing, inspecting or serialising it shows which version it is and never the value; only
 * `reveal()`, `json()` and `field()` give that.
 */
export class Credential {
  readonly versionId: string;
  /** The labels that the version had when it was read. */
  readonly stages: readonly Stage[];
  /** When the version was made, in milliseconds since 1970. */
  readonly createdAt: number;
  /** Private by the language, so that neither `console.log` nor a debugger's preview shows it. */
  readonly #value: string;

  constructor({ versionId, stages, createdAt, value }: VaultVersion) {
    this.versionId = versionId;
    this.stages = stages;
    this.createdAt = createdAt;
    this.#value = value;
  }

  /** The value itself. Call it at the last moment and keep the result out of any longer-lived object. */
  reveal(): string {
    return this.#value;
  }

  /**
   * The fields of a value that is a JSON object.
   * @throws CredentialError ERR_VALUE where it isn't one
   */
  json(): Readonly<Record<string, unknown>> {
    const fields = parsed(this.#value);
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw new CredentialError('ERR_VALUE', `the value of version ${this.versionId} is no JSON object`);
    }
    return fields as Record<string, unknown>;
  }

  /**
   * One field of a JSON object, as text.
   * @throws CredentialError ERR_VALUE where it isn't there or isn't a text
   */
  field(name: string): string {
    const value = this.json()[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new CredentialError('ERR_VALUE', `version ${this.versionId} has no text "${name}"`, {
      field: name,
    });
  }

  toString(): string {
    return `credential ${this.versionId} [redacted]`;
  }

  toJSON(): { versionId: string; stages: readonly Stage[]; value: '[redacted]' } {
    return { versionId: this.versionId, stages: this.stages, value: '[redacted]' };
  }
}

/** Undefined where the text is no JSON. The parser's own error quotes the text, so it goes no further. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
