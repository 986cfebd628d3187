/**
 * Settings under which a value has one text, the same when it is read, streamed, compared and written. Sessions on both
 * sides have them: what a copied row shows is then what a streamed row shows.
 */
export const VALUE_SETTINGS = `set datestyle = 'ISO, YMD';
set intervalstyle = postgres;
set timezone = 'UTC';
set extra_float_digits = 3;
set bytea_output = hex;
set xmloption = content;
set lc_monetary = 'C'`;
