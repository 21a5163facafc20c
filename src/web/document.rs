//! An answer that is the same for everybody: made once, kept as bytes, with a strong ETag of its own for each encoding, so that
//! whoever has it already is told so without a body.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::password::hex;

/// Bytes of the digest that an ETag has.
const ETAG_BYTES: usize = 16;

pub(super) struct Document {
    content_type: &'static str,
    plain: Bytes,
    /// Made when somebody takes it.
    gzip: OnceLock<Bytes>,
    digest: String,
}

impl Document {
    pub fn new(content_type: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let digest = hex(&Sha256::digest(&plain)[..ETAG_BYTES]);
        Self { content_type, plain, gzip: OnceLock::new(), digest }
    }

    /// The answer to a request with these headers: the document, or 304 for whoever has it. The router leaves out the body where
    /// the method is HEAD.
    pub fn response(&self, request: &HeaderMap) -> Response {
        let takes_gzip = takes_gzip(request);
        let etag = format!("\"{}{}\"", self.digest, if takes_gzip { "-gzip" } else { "" });
        let has_it = has(request, &etag);
        let headers = [(ETAG, etag), (VARY, ACCEPT_ENCODING.as_str().to_owned())];
        if has_it {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = [(CONTENT_TYPE, self.content_type)];
        if takes_gzip {
            return (headers, content_type, [(CONTENT_ENCODING, "gzip")], self.gzip()).into_response();
        }
        (headers, content_type, self.plain.clone()).into_response()
    }

    fn gzip(&self) -> Bytes {
        let packed = self.gzip.get_or_init(|| {
            let mut packing = GzEncoder::new(Vec::new(), Compression::default());
            let into_memory = "writing into memory does not fail";
            packing.write_all(&self.plain).expect(into_memory);
            packing.finish().expect(into_memory).into()
        });
        packed.clone()
    }
}

fn list(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let takes = |coding: &str| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        let is_refused = !weight.is_empty() && weight.chars().all(|c| matches!(c, '0' | '.'));
        ["gzip", "x-gzip", "*"].iter().any(|known| name.trim().eq_ignore_ascii_case(known)) && !is_refused
    };
    list(request, ACCEPT_ENCODING).any(takes)
}

/// Whether the request says that its sender has this. A proxy on the way may have called the tag weak.
fn has(request: &HeaderMap, etag: &str) -> bool {
    list(request, IF_NONE_MATCH).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;

    use super::*;

    async fn ask(document: &Document, headers: &[(HeaderName, &str)]) -> (StatusCode, HeaderMap, Bytes) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let (parts, body) = document.response(&headers).into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn each_encoding_has_its_tag_and_who_has_it_is_told_so() {
        let document = Document::new("text/plain", "Часы работы. ".repeat(100));
        let (status, plain, text) = ask(&document, &[]).await;
        assert_eq!((status, &text), (StatusCode::OK, &document.plain));
        let (_, packed, bytes) = ask(&document, &[(ACCEPT_ENCODING, "br, gzip;q=0.5")]).await;
        assert_eq!(packed[CONTENT_ENCODING], "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert_ne!(plain[ETAG], packed[ETAG]);
        assert!(!plain[ETAG].to_str().unwrap().starts_with("W/"));
        for (accepted, etag, status) in [
            ("identity", &plain[ETAG], 304),
            ("gzip", &packed[ETAG], 304),
            ("gzip", &plain[ETAG], 200),
            ("gzip;q=0", &plain[ETAG], 304),
            ("gzip;q=0.000", &packed[ETAG], 200),
        ] {
            let etag = etag.to_str().unwrap();
            for sent in [etag.to_owned(), format!("\"other\", W/{etag}")] {
                let answer = ask(&document, &[(ACCEPT_ENCODING, accepted), (IF_NONE_MATCH, &sent)]).await;
                assert_eq!(answer.0.as_u16(), status, "{accepted} {sent}");
                assert_eq!(answer.2.is_empty(), status == 304, "{accepted} {sent}");
                assert_eq!(answer.1[VARY], "accept-encoding");
            }
        }
        assert_eq!(ask(&document, &[(IF_NONE_MATCH, "*")]).await.0, StatusCode::NOT_MODIFIED);
    }
}
