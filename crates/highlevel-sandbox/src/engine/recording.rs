//! The audio of recorded calls.

use bytes::Bytes;

use crate::api::MAX_DURATION;

/// Samples per second.
const RATE: u32 = 8_000;
/// Bytes per sample.
const BYTES: u16 = 2;
/// The size of the header, in bytes.
const HEADER: usize = 44;

/// The maximum size of a recording, in bytes.
pub(crate) const MAX_RECORDING: usize = size(MAX_DURATION);

/// Returns the size of a recording, in bytes.
const fn size(seconds: u32) -> usize {
    HEADER + seconds as usize * RATE as usize * BYTES as usize
}

/// Returns a WAV file with silence.
pub(super) fn silence(seconds: u32) -> Bytes {
    let samples = seconds * RATE * u32::from(BYTES);
    let mut wav = Vec::with_capacity(size(seconds));
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(samples + 36).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&(RATE * u32::from(BYTES)).to_le_bytes());
    wav.extend_from_slice(&BYTES.to_le_bytes());
    wav.extend_from_slice(&(BYTES * 8).to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&samples.to_le_bytes());
    wav.resize(size(seconds), 0);
    wav.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_states_the_sizes() {
        for seconds in [0, 1, 131] {
            let wav = silence(seconds);
            let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(wav.len(), size(seconds));
            assert_eq!((number(4) + 8, number(40) + HEADER), (wav.len(), wav.len()));
        }
    }
}
