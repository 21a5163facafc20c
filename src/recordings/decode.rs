//! From the bytes of a file to mono 16-bit samples, piece by piece: PCM straight from the bytes, the rest by symphonia.
//!
//! Nothing is gathered, so a small file that unpacks to hours of sound costs time up to the limit and no memory.

use std::io::Cursor;

use symphonia::core::audio::{Channels, GenericAudioBufferRef};
use symphonia::core::codecs::audio::well_known as codec;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::formats::{FlacReader, IsoMp4Reader, MpaReader, OggReader};

use super::analyse::Damage;
use super::container::{Container, Unplayable, sniff, zeros};
use super::mpeg::{Frame, Frames};
use super::wav::{Coding, Wav};

/// Rates and channels that a recording may have; a header outside of them is nonsense.
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
const MOST_CHANNELS: u16 = 8;

/// As many packets as 4 minutes of MP3 have.
const MOST_UNDECODABLE: u64 = 10_000;

/// Frames decoded at once: half a second of a telephone line.
const PIECE_FRAMES: usize = 4_000;

/// A file whose header was understood and whose sound can be read once.
pub struct Source<'a> {
    pub container: Container,
    pub format: &'static str,
    pub sample_rate: u32,
    pub channels: u16,
    stream: Stream<'a>,
    /// What was seen to be wrong before a sample was read.
    damage: Vec<Damage>,
}

enum Stream<'a> {
    Pcm(Wav<'a>),
    Coded(Wav<'a>, Box<dyn AudioDecoder>),
    Packets(Packets<'a>),
}

impl<'a> Source<'a> {
    /// `bytes` is the whole file.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Unplayable> {
        let container = sniff(bytes)?;
        let options = FormatOptions::default;
        match container {
            Container::Wav => Self::open_wav(Wav::read(bytes)?),
            Container::Mp3 => Self::open_mp3(after_id3(&bytes[zeros(bytes)..])),
            Container::Ogg if bytes.get(28..36) == Some(b"Speex   ") => {
                Err(Unplayable::Unsupported("ogg/speex".into()))
            }
            Container::Ogg => Self::open_packets(container, OggReader::try_new(stream(bytes), options())),
            Container::Flac => Self::open_packets(container, FlacReader::try_new(stream(bytes), options())),
            Container::Mp4 => Self::open_packets(container, IsoMp4Reader::try_new(stream(bytes), options())),
            Container::Amr
            | Container::AmrWideband
            | Container::Aiff
            | Container::Au
            | Container::Aac
            | Container::Caf
            | Container::Rifx
            | Container::Webm
            | Container::Wma => Err(Unplayable::Unsupported(container.extension().into())),
        }
    }

    /// A tag that counts fewer frames than are there is left out, or the decoder would believe it.
    fn open_mp3(bytes: &'a [u8]) -> Result<Self, Unplayable> {
        if let Some(layer) = Frame::read(bytes).map(|frame| frame.layer).filter(|layer| *layer != 3) {
            return Err(Unplayable::Unsupported(format!("mp{layer}")));
        }
        let frames = Frames::count(bytes);
        let believed = |frames: &Frames| frames.stated.is_none_or(|stated| stated + 1 >= frames.found);
        let sound_at = frames.filter(|frames| !believed(frames)).map_or(0, |frames| frames.sound_at);
        let reader = MpaReader::try_new(stream(&bytes[sound_at..]), FormatOptions::default());
        let mut source = Self::open_packets(Container::Mp3, reader)?;
        if let Some(Frames { found, stated: Some(stated), .. }) = frames.filter(|frames| frames.lost().is_some()) {
            source.damage.push(Damage::FramesMissing { stated, found });
        }
        Ok(source)
    }

    /// Gives all samples to `hear`, mono; of several channels the louder one of each piece, so that a caller on one
    /// side of a stereo recording is measured as he is. Answers what was wrong with the file.
    pub fn read(self, limit_ms: i64, mut hear: impl FnMut(&[i16])) -> Result<Vec<Damage>, Unplayable> {
        self.read_pieces(limit_ms, |piece| hear(piece.mono()))
    }

    /// Gives all samples of all channels to `hear`, a frame after the other.
    pub fn read_all_channels(self, limit_ms: i64, mut hear: impl FnMut(&[i16])) -> Result<Vec<Damage>, Unplayable> {
        self.read_pieces(limit_ms, |piece| hear(&piece.interleaved))
    }

    fn read_pieces(self, limit_ms: i64, mut hear: impl FnMut(&mut Piece)) -> Result<Vec<Damage>, Unplayable> {
        let limit = Limit { frames: limit_ms.unsigned_abs() * u64::from(self.sample_rate) / 1_000, limit_ms };
        let mut piece = Piece { channels: usize::from(self.channels), ..Piece::default() };
        let mut damage = self.damage;
        damage.extend(match self.stream {
            Stream::Pcm(wav) => {
                limit.check((wav.data.len() / wav.frame_bytes()) as u64)?;
                for bytes in wav.data.chunks(PIECE_FRAMES * wav.frame_bytes()) {
                    piece.interleaved.clear();
                    piece.interleaved.extend(bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])));
                    hear(&mut piece);
                }
                wav.damage
            }
            Stream::Coded(wav, mut decoder) => {
                limit.check((wav.data.len() / wav.frame_bytes()) as u64)?;
                for bytes in wav.data.chunks(PIECE_FRAMES * wav.frame_bytes()) {
                    let frames = Duration::new((bytes.len() / wav.frame_bytes()) as u64);
                    let packet = PacketRef::new(0, Timestamp::ZERO, frames, bytes);
                    let decoded = decoder.decode_ref(&packet).map_err(|error| Unplayable::Broken(error.to_string()))?;
                    decoded.copy_to_vec_interleaved(&mut piece.interleaved);
                    hear(&mut piece);
                }
                wav.damage
            }
            Stream::Packets(packets) => packets.read(&limit, &mut piece, hear)?,
        });
        Ok(damage)
    }

    fn open_wav(wav: Wav<'a>) -> Result<Self, Unplayable> {
        let codec = match wav.coding {
            Coding::S16 => None,
            Coding::U8 => Some(codec::CODEC_ID_PCM_U8),
            Coding::S24 => Some(codec::CODEC_ID_PCM_S24LE),
            Coding::S32 => Some(codec::CODEC_ID_PCM_S32LE),
            Coding::F32 => Some(codec::CODEC_ID_PCM_F32LE),
            Coding::Alaw => Some(codec::CODEC_ID_PCM_ALAW),
            Coding::Mulaw => Some(codec::CODEC_ID_PCM_MULAW),
        };
        let (format, sample_rate, channels) = (wav.coding.format(), wav.sample_rate, wav.channels);
        check_shape(sample_rate, channels)?;
        let stream = match codec {
            None => Stream::Pcm(wav),
            Some(codec) => {
                let mut parameters = AudioCodecParameters::new();
                parameters
                    .for_codec(codec)
                    .with_sample_rate(sample_rate)
                    .with_channels(Channels::Discrete(channels))
                    .with_max_frames_per_packet(PIECE_FRAMES as u64);
                Stream::Coded(wav, decoder_for(&parameters, format)?)
            }
        };
        Ok(Self { container: Container::Wav, format, sample_rate, channels, stream, damage: Vec::new() })
    }

    fn open_packets<R: FormatReader + 'a>(container: Container, reader: Result<R, Error>) -> Result<Self, Unplayable> {
        let reader: Box<dyn FormatReader + 'a> = Box::new(reader.map_err(|e| Unplayable::Broken(e.to_string()))?);
        let no_sound = || Unplayable::NoSoundTrack;
        let track = reader.default_track(TrackType::Audio).ok_or_else(no_sound)?;
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(no_sound)?;
        let format = match parameters.codec {
            codec::CODEC_ID_MP3 => "mp3",
            codec::CODEC_ID_VORBIS => "ogg/vorbis",
            codec::CODEC_ID_OPUS => "ogg/opus",
            codec::CODEC_ID_FLAC if container == Container::Ogg => "ogg/flac",
            codec::CODEC_ID_FLAC => "flac",
            codec::CODEC_ID_AAC => "aac",
            _ => "something else than MP3, Vorbis, FLAC or AAC",
        };
        let sample_rate = parameters.sample_rate.ok_or_else(no_sound)?;
        let channels = parameters.channels.as_ref().map_or(0, Channels::count) as u16;
        check_shape(sample_rate, channels)?;
        let decoder = decoder_for(parameters, format)?;
        let packets = Packets { track: track.id, sample_rate, decoder, reader };
        let stream = Stream::Packets(packets);
        Ok(Self { container, format, sample_rate, channels, stream, damage: Vec::new() })
    }
}

struct Limit {
    frames: u64,
    limit_ms: i64,
}

impl Limit {
    fn check(&self, frames: u64) -> Result<(), Unplayable> {
        if frames > self.frames { Err(Unplayable::TooLong { limit_ms: self.limit_ms }) } else { Ok(()) }
    }
}

/// Sound in packets, behind a demuxer and a decoder.
struct Packets<'a> {
    reader: Box<dyn FormatReader + 'a>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    sample_rate: u32,
}

impl Packets<'_> {
    fn read(
        mut self,
        limit: &Limit,
        piece: &mut Piece,
        mut hear: impl FnMut(&mut Piece),
    ) -> Result<Vec<Damage>, Unplayable> {
        let mut damage = Vec::new();
        let (mut frames, mut undecodable) = (0, 0);
        loop {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => {
                    damage.push(Damage::CutShort { reason: error.to_string() });
                    break;
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(decoded) if fits(&decoded, self.sample_rate, piece.channels) => {
                    frames += decoded.frames() as u64;
                    limit.check(frames)?;
                    decoded.copy_to_vec_interleaved(&mut piece.interleaved);
                    hear(piece);
                }
                Ok(_) | Err(_) => undecodable += 1,
            }
            // A table of a few bytes can promise thousands of millions of empty packets.
            if undecodable > MOST_UNDECODABLE {
                return Err(Unplayable::Broken("hardly anything in it can be decoded".into()));
            }
        }
        if undecodable > 0 {
            damage.push(Damage::Undecodable { packets: undecodable });
        }
        if frames == 0 && !damage.is_empty() {
            let reasons: Vec<String> = damage.iter().map(Damage::to_string).collect();
            return Err(Unplayable::Broken(reasons.join(", ")));
        }
        Ok(damage)
    }
}

/// A stream that changes its rate on the way cannot be measured as one.
fn fits(decoded: &GenericAudioBufferRef<'_>, sample_rate: u32, channels: usize) -> bool {
    decoded.frames() == 0 || (decoded.spec().rate() == sample_rate && decoded.num_planes() == channels)
}

/// Decoded samples, and room for the one channel that is measured.
#[derive(Default)]
struct Piece {
    channels: usize,
    interleaved: Vec<i16>,
    one: Vec<i16>,
}

impl Piece {
    fn mono(&mut self) -> &[i16] {
        if self.channels == 1 {
            return &self.interleaved;
        }
        let channel = |n: usize| self.interleaved.iter().skip(n).step_by(self.channels);
        let energy = |n: usize| channel(n).map(|&sample| i64::from(sample) * i64::from(sample)).sum::<i64>();
        let louder = (0..self.channels).rev().max_by_key(|&n| energy(n)).unwrap_or(0);
        self.one.clear();
        self.one.extend(self.interleaved.iter().skip(louder).step_by(self.channels));
        &self.one
    }
}

/// To be asked before a decoder is made: it takes memory for as many channels as the header claims, up to 65,535.
fn check_shape(sample_rate: u32, channels: u16) -> Result<(), Unplayable> {
    if SAMPLE_RATES.contains(&sample_rate) && (1..=MOST_CHANNELS).contains(&channels) {
        return Ok(());
    }
    Err(Unplayable::Broken(format!("{sample_rate} samples a second on {channels} channels")))
}

fn stream(bytes: &[u8]) -> MediaSourceStream<'_> {
    MediaSourceStream::new(Box::new(Cursor::new(bytes)), MediaSourceStreamOptions::default())
}

fn decoder_for(parameters: &AudioCodecParameters, format: &str) -> Result<Box<dyn AudioDecoder>, Unplayable> {
    symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|_| Unplayable::Unsupported(format.into()))
}

/// Passes over the tag before an MP3: ten bytes of header with a length of four times seven bits (ID3v2.4, 3.1).
fn after_id3(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
            let length = [a, b, c, d].iter().fold(0, |length, &&byte| length << 7 | usize::from(byte & 0x7f));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            bytes.get(10 + length + footer..).unwrap_or_default()
        }
        _ => bytes,
    }
}
