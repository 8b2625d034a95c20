use super::*;

/// Decodes what comes in pieces of `piece` bytes; the connection ends behind it.
fn decode(
    mut decoder: Decoder,
    text: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, HeaderMap), Invalid> {
    let (mut data, mut fields) = (Vec::new(), HeaderMap::new());
    let mut received = BytesMut::new();
    let mut pieces = text.chunks(piece);
    loop {
        match decoder.decode(&mut received)? {
            Decoded::Data(bytes) => {
                assert!(!bytes.is_empty());
                data.extend_from_slice(&bytes);
            }
            Decoded::Trailers(trailers) => fields = trailers,
            Decoded::End => return Ok((data, fields)),
            Decoded::Incomplete => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None if decoder.close() => return Ok((data, fields)),
                None => return Err(Invalid::Length),
            },
        }
    }
}

#[test]
fn bodies_are_the_same_however_they_arrive() {
    let chunked =
        b"4\r\nWiki\r\n6;ext=\"1\"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nx-sum: 7\r\n\r\n";
    for piece in 1..chunked.len() {
        let (data, trailers) = decode(Decoder::chunked(), chunked, piece).unwrap();
        assert_eq!(data, b"Wikipedia in \r\n\r\nchunks.", "pieces of {piece}");
        assert_eq!(trailers["x-sum"], "7");
        let (data, _) = decode(Decoder::Length(7), b"1234567", piece).unwrap();
        assert_eq!(data, b"1234567");
        let (data, _) = decode(Decoder::UntilClose, b"1234567", piece).unwrap();
        assert_eq!(data, b"1234567");
    }
}

#[test]
fn what_follows_a_body_stays() {
    let cases: [(Decoder, &[u8]); 3] = [
        (Decoder::Length(2), b"hiHTTP/1.1"),
        (Decoder::chunked(), b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1"),
        (Decoder::Empty, b"HTTP/1.1"),
    ];
    for (mut decoder, text) in cases {
        let mut received = BytesMut::from(text);
        while !matches!(decoder.decode(&mut received), Ok(Decoded::End)) {}
        assert!(decoder.is_over());
        assert_eq!(&received[..], b"HTTP/1.1");
    }
}

#[test]
fn what_breaks_off_is_not_complete() {
    let chunked = b"4\r\nWiki\r\n0\r\n\r\n";
    for length in 0..chunked.len() {
        assert!(
            decode(Decoder::chunked(), &chunked[..length], 3).is_err(),
            "{length}"
        );
    }
    assert!(decode(Decoder::Length(5), b"1234", 3).is_err());
}

#[test]
fn malformed_chunks_are_refused() {
    for text in [
        &b"x\r\n"[..],
        b"\r\n\r\n",
        b";a\r\n\r\n",
        b"-1\r\na\r\n",
        b"2\r\nhi!\r\n0\r\n\r\n",
        b"2\nhi\r\n0\r\n\r\n",
        b"2;a\nb\r\nhi\r\n0\r\n\r\n",
        b"2\r\nhi\n0\r\n\r\n",
        b"10000000000000000\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n\n",
        b"0\r\na: 1\n\r\n",
        b"0x2\r\nhi\r\n0\r\n\r\n",
    ] {
        let result = decode(Decoder::chunked(), text, 100);
        assert!(result.is_err(), "{}: {result:?}", text.escape_ascii());
    }
}

#[test]
fn sizes_and_trailers_without_end_are_not_kept() {
    let endless = [b"5;".as_slice(), &[b'x'; 2 * LONGEST_SIZE]].concat();
    assert_eq!(
        decode(Decoder::chunked(), &endless, 512),
        Err(Invalid::Chunk)
    );
    let endless = [b"0\r\na: ".as_slice(), &[b'x'; 2 * LARGEST_TRAILERS]].concat();
    assert_eq!(
        decode(Decoder::chunked(), &endless, 512),
        Err(Invalid::Trailers)
    );
}

#[test]
fn trailers_cannot_change_the_message() {
    let text = b"0\r\ncontent-length: 3\r\nx-a: 1\r\nset-cookie: a=b\r\nx-a: 2\r\nconnection: close\r\n\r\n";
    let (_, trailers) = decode(Decoder::chunked(), text, 100).unwrap();
    assert_eq!(trailers.len(), 2);
    let both: Vec<_> = trailers.get_all("x-a").iter().collect();
    assert_eq!(both, ["1", "2"]);
}
