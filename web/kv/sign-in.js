import { session, whoAmI } from './api.js';
import { element } from './element.js';

/** Finds out who this is; asks for a token, below `place`, until the server knows it. */
export async function signIn(place) {
  for (let problem = ''; ; ) {
    try {
      const { author, write } = await whoAmI();
      session.author = author;
      session.write = write;
      place.replaceChildren();
      return;
    } catch (error) {
      if (error.status !== 401) problem = error.message;
      else problem = session.token === '' ? '' : 'The server does not know this token.';
      session.token = await ask(place, problem);
    }
  }
}

function ask(place, problem) {
  return new Promise((resolve) => {
    const token = element('input', { type: 'password', autocomplete: 'off', required: true, id: 'token' });
    const form = element(
      'form',
      { class: 'sign-in' },
      element('label', { htmlFor: 'token' }, 'Bearer token'),
      token,
      element('button', { type: 'submit' }, 'Open'),
      problem && element('p', { class: 'failure', role: 'alert' }, problem),
    );
    form.onsubmit = (event) => {
      event.preventDefault();
      resolve(token.value.trim());
    };
    place.replaceChildren(form);
    token.focus();
  });
}
