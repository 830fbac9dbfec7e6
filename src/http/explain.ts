import { AppError } from '../core/errors.ts';

/** The error to send in place of one of a request for `path`. */
export type Explain = (error: AppError, path: string) => AppError;

const LOOK = 'the tasks are at /api/tasks, the reference of all routes at /docs';
const TASKS_ELSEWHERE = /^\/*(?:api\/+)?(?:v\d+\/+)?(?:tasks?|todos?)(?:[/?]|$)/i;

/** What to do about a 401, by its reason. Characters as in RFC 6750, section 3: no `"` and no `\`. */
const ADVICE: Readonly<Record<string, string>> = {
  'authorization missing': 'Send the header Authorization: Bearer TOKEN, with a JWT in place of TOKEN',
  authorization: 'The header has to be Authorization: Bearer TOKEN, with a JWT in place of TOKEN and nothing else',
  malformed: 'a JWT is three base64url texts joined by dots; send all of it, without quotes',
  signature: 'not signed with the secret or key of this service (JWT_SECRET, BETTER_AUTH_SECRET or JWKS_URL)',
  alg: 'not the signature algorithm of this service (JWT_ALGORITHM; with JWKS_URL none with a shared secret)',
  kid: 'the key set at JWKS_URL has no such key',
  exp: 'the token has expired, or the claim is no number; get a new token from whoever issued this one',
  nbf: 'the token is not valid yet, or the claim is no number; compare the clocks',
  iat: 'the token was issued in the future, or the claim is no number; compare the clocks',
  iss: 'another issuer than JWT_ISSUER',
  aud: 'another audience than JWT_AUDIENCE',
  sub: 'the claim has to be the user id, a text of 1 to 255 characters',
  length: 'a token has at most 8192 characters',
};

function adviceFor(reason: string): string {
  const advice = ADVICE[reason] ?? 'the token has to have this claim, of the right type';
  return reason.startsWith('authorization') ? advice : `${reason}: ${advice}`;
}

/** Says what a newcomer can do about an unknown path or a refused token; other errors say it themselves. */
const explain: Explain = (error, path) => {
  const { code, message, reason, cause } = error;
  if (code === 'NOT_FOUND' && reason === 'route') {
    const hint = TASKS_ELSEWHERE.test(path) ? 'did you mean /api/tasks? The reference of all routes is at /docs' : LOOK;
    return new AppError(code, { message: `${message}: ${hint}`, reason, cause });
  }
  if ((code === 'UNAUTHORIZED' || code === 'INVALID_TOKEN' || code === 'TOKEN_EXPIRED') && reason !== undefined) {
    return new AppError(code, { details: [{ field: 'authorization', message: adviceFor(reason) }], reason, cause });
  }
  return error;
};

/** In production a response does not say why a token is refused. */
export const explainIn: Readonly<Record<'development' | 'production', Explain>> = {
  development: explain,
  production: (error) => error,
};
