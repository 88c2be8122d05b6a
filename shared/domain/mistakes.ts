import type * as z from 'zod';
import { RekeyError, type ErrorCode } from './errors.ts';

const FORM = 'docs/rekey.schema.json has every field with its meaning';

/**
 * The mistakes that zod has found, each under `code`; keys that nobody knows come first, for they explain what is
 * missing. `prefix` is the path of the value that was checked, `form` says where its fields are described.
 */
export function declarationErrors(
  error: z.ZodError,
  prefix = '',
  form = FORM,
  code: ErrorCode = 'ERR_DECLARATION',
): RekeyError[] {
  const join = (...parts: string[]): string => parts.filter((part) => part !== '').join('.');
  const unknown = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => {
          const field = join(prefix, fieldPath(issue.path), key);
          return new RekeyError(code, `${field}: unrecognized key`, {
            field,
            remedy: `remove the unknown key or correct its spelling; ${form}`,
          });
        })
      : [],
  );
  const others = error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return [];
    const field = join(prefix, fieldPath(issue.path));
    // Of alternatives the last one is the general one.
    const message =
      issue.code === 'invalid_union' ? (issue.errors.at(-1)?.[0]?.message ?? issue.message) : issue.message;
    return [
      new RekeyError(code, `${field === '' ? 'the document' : field}: ${message}`, {
        field,
        remedy: `correct this field; ${form}`,
      }),
    ];
  });
  return [...unknown, ...others];
}

/** The same error with its field below `prefix`. */
export function prefixField(error: RekeyError, prefix: string): RekeyError {
  const { code, message, field, remedy, cause, also } = error;
  return new RekeyError(code, message, {
    field: field === undefined ? prefix : `${prefix}.${field}`,
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause === undefined ? {} : { cause }),
    also: also.map((each) => prefixField(each, prefix)),
  });
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
