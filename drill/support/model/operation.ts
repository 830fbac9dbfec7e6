import { DEFAULTS, isRefused, type Written } from '../../../test/support/field-rules.ts';

/** A request as it is sent. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  /** In lower case, without the token. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string | null;
}

/** The versions that an operation accepts; null: any. */
type Expected = readonly number[] | null;

export type Operation =
  /** Under an id of the service's if `id` is null. */
  | { readonly kind: 'create'; readonly id: string | null; readonly fields: Written }
  | { readonly kind: 'put' | 'update'; readonly id: string; readonly fields: Written; readonly expected: Expected }
  | { readonly kind: 'toggle' | 'restore'; readonly id: string; readonly expected: Expected }
  | {
      readonly kind: 'delete';
      readonly id: string;
      readonly expected: Expected;
      readonly isPermanent: boolean;
      /** The status where there is none. */
      readonly absent: 200 | 404;
    }
  | { readonly kind: 'get'; readonly id: string }
  | { readonly kind: 'list' }
  | { readonly kind: 'malformed' };

/** What a request asks for. */
export interface Work {
  readonly operations: readonly Operation[];
  readonly isBatch: boolean;
  readonly isAtomic: boolean;
  readonly unchangedSince: number | null;
}

interface BatchBody {
  readonly operations: readonly (Written & {
    readonly op: string;
    readonly id?: string;
    readonly if_version?: number;
  })[];
  readonly atomic?: boolean;
  readonly if_unchanged_since?: number | null;
}

const BATCH = '/api/batch';
const PATH = /^\/api\/tasks(?:\/([0-9a-f-]{36})(?:\/(toggle|restore))?)?(\?permanent=true)?$/;

/** A whole task whose fields do not go together is refused before anything is looked at. */
function ofWhole(operation: Operation & { readonly fields: Written }): Operation {
  return isRefused({ ...DEFAULTS, ...operation.fields }) ? { kind: 'malformed' } : operation;
}

const alone = (operation: Operation): Work => ({
  operations: [operation],
  isBatch: false,
  isAtomic: false,
  unchangedSince: null,
});

function ofBatch({ op, id = '', if_version: version, ...fields }: BatchBody['operations'][number]): Operation {
  const expected = version === undefined ? null : [version];
  switch (op) {
    case 'create':
      return ofWhole({ kind: 'create', id: id || null, fields });
    case 'put':
      if (version === 0) return ofWhole({ kind: 'create', id, fields });
      return ofWhole({ kind: 'put', id, fields, expected });
    case 'update':
      return { kind: 'update', id, fields, expected };
    case 'toggle':
    case 'restore':
      return { kind: op, id, expected };
    case 'delete':
      return { kind: 'delete', id, expected, isPermanent: false, absent: 200 };
    default:
      return { kind: 'malformed' };
  }
}

/** @returns what `request` asks for. @throws for one that the drill does not know. */
export function workOf({ method, path, headers, body }: WireRequest): Work {
  if (path === BATCH) {
    const { operations, atomic = false, if_unchanged_since: since = null }: BatchBody = JSON.parse(body ?? '');
    return { operations: operations.map(ofBatch), isBatch: true, isAtomic: atomic, unchangedSince: since };
  }
  const [known, id = '', action = '', permanent] = PATH.exec(path) ?? [];
  const fields: Written = body === null ? {} : JSON.parse(body);
  const condition = headers['if-match'] ?? '*';
  const expected = condition === '*' ? null : (condition.match(/\d+/g) ?? []).map(Number);
  if (known !== undefined) {
    switch (`${method} ${action}`) {
      case 'GET ':
        return alone(id === '' ? { kind: 'list' } : { kind: 'get', id });
      case 'POST ':
        return alone(ofWhole({ kind: 'create', id: null, fields }));
      case 'PUT ':
        return alone(
          headers['if-none-match'] === '*'
            ? ofWhole({ kind: 'create', id, fields })
            : { kind: 'update', id, fields, expected },
        );
      case 'PATCH ':
        return alone({ kind: 'update', id, fields, expected });
      case 'POST toggle':
        return alone({ kind: 'toggle', id, expected });
      case 'POST restore':
        return alone({ kind: 'restore', id, expected });
      case 'DELETE ':
        return alone({ kind: 'delete', id, expected, isPermanent: permanent !== undefined, absent: 404 });
    }
  }
  throw new Error(`The model does not know ${method} ${path}`);
}

/** The ids that an operation names. */
export const idOf = (operation: Operation): string | null => ('id' in operation ? operation.id : null);
