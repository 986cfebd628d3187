import { answerJson, type Exchange } from './exchange.ts';

/** `GET /-/who-am-i`: whom the token belongs to (`null`: the request says who commits), and which keys it is good for. */
export async function getWhoAmI(exchange: Exchange): Promise<void> {
  const { author, rights } = exchange.access;
  answerJson(exchange, 200, JSON.stringify({ author: author ?? null, ...rights }), ['Cache-Control', 'no-store']);
}
