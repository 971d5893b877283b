//! The libraries of other people that tests are made with are there.

use portcullis_tests::{node, python, said};

#[test]
fn a_token_of_one_library_is_read_by_the_other() {
    let key = "0123456789abcdef0123456789abcdef";
    let write = "import jwt, sys; print(jwt.encode({'sub': 'alice'}, sys.argv[1], 'HS256'))";
    let read = "import { jwtVerify } from 'jose';
        const [key, token] = process.argv.slice(1);
        const { payload } = await jwtVerify(token, new TextEncoder().encode(key));
        console.log(payload.sub);";

    let token = said(python(write).arg(key));
    let subject = said(node(read).args([key, token.trim()]));

    assert_eq!(subject, "alice\n");
}
