//! Multiples of a point that are computed once, so that each multiplication by a scalar takes a fraction of the time.
//!
//! A scalar is written as signed digits (see [`digits`]), and the table holds every value of a digit for every
//! [`STEP`]th place. A multiplication adds up table entries, and doubles the sum [`STEP`] − 1 times for the places in
//! between. Its time depends on the scalar, so it is for public values only.

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;

/// The length of a digit in bits.
const WIDTH: usize = 6;
/// The number of places of one row of the table. Larger steps need less memory and more time.
const STEP: usize = 16;
/// The number of places. Scalars are below 2²⁵⁶.
const PLACES: usize = 256;
const ROWS: usize = PLACES / STEP;
/// The number of odd digits above 0.
const COLUMNS: usize = 1 << (WIDTH - 2);

/// The multiples of one point: 256 points of 160 bytes.
pub(super) struct Multiples {
    /// Row `r` and column `c` have the point times (2c + 1) · 2^(r · STEP).
    rows: Box<[[EdwardsPoint; COLUMNS]]>,
}

impl Multiples {
    /// Computes the table, which takes as long as a few verifications.
    pub(super) fn of(point: &EdwardsPoint) -> Self {
        let mut first = *point;
        let row = || {
            let twice = first + first;
            let mut row = [first; COLUMNS];
            for column in 1..COLUMNS {
                row[column] = row[column - 1] + twice;
            }
            for _ in 0..STEP {
                first = first + first;
            }
            row
        };
        Self { rows: std::iter::repeat_with(row).take(ROWS).collect() }
    }

    /// Adds the point times a digit times 2^(row · STEP) to a sum.
    fn add_to(&self, sum: &mut EdwardsPoint, row: usize, digit: i8) {
        let column = usize::from(digit.unsigned_abs() / 2);
        match digit {
            0 => {}
            1.. => *sum += &self.rows[row][column],
            ..0 => *sum -= &self.rows[row][column],
        }
    }
}

/// Returns the sum of two points, each times its scalar.
pub(super) fn sum_of_products(terms: [(&Multiples, &Scalar); 2]) -> EdwardsPoint {
    let terms = terms.map(|(multiples, scalar)| (multiples, digits(scalar)));
    let mut sum = EdwardsPoint::identity();
    for place in (0..STEP).rev() {
        sum = sum + sum;
        for row in 0..ROWS {
            for (multiples, digits) in &terms {
                multiples.add_to(&mut sum, row, digits[row * STEP + place]);
            }
        }
    }
    sum
}

/// Writes a scalar as the sum of `digit · 2^place`, as a non-adjacent form: digits are 0 or odd, their absolute values
/// are below 2^(WIDTH − 1), and the WIDTH − 1 digits after one that is not 0 are 0. On average, one digit in 7 is not 0.
fn digits(scalar: &Scalar) -> [i8; PLACES] {
    const BASE: u16 = 1 << WIDTH;
    let bytes = scalar.as_bytes();
    let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
    let mut digits = [0; PLACES];
    let mut carry = 0;
    let mut place = 0;
    while place < PLACES {
        let bits = (byte(place / 8) | byte(place / 8 + 1) << 8) >> (place % 8);
        // At most 64, so that the sum has no bit beyond those of an `i8`.
        let value = bits % BASE + carry;
        if value.is_multiple_of(2) {
            // A carry stays until the first bit that is 0.
            place += 1;
            continue;
        }
        let is_negative = value > BASE / 2;
        carry = u16::from(is_negative);
        digits[place] = i8::try_from(value).unwrap_or_default() - if is_negative { 1 << WIDTH } else { 0 };
        place += WIDTH;
    }
    digits
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use fastrand::Rng;

    use super::*;

    /// Scalars below the order of the base point: small and large ones, those with long runs of equal bits, random ones.
    fn scalars(random: &mut Rng, count: usize) -> Vec<Scalar> {
        let mut scalars: Vec<Scalar> = (0..200_u64).map(Scalar::from).collect();
        scalars.extend((0..200_u64).map(|less| -Scalar::from(less)));
        let mut power = Scalar::ONE;
        for _ in 0..252 {
            scalars.extend([power, power - Scalar::ONE, power + Scalar::ONE, -power]);
            power += power;
        }
        scalars.extend((0..count).map(|_| random_scalar(random)));
        scalars
    }

    fn random_scalar(random: &mut Rng) -> Scalar {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        // Half of them with runs of equal bytes.
        if random.bool() {
            let (start, end) = (random.usize(..32), random.usize(..=32));
            bytes[start.min(end)..end.max(start)].fill(if random.bool() { 0 } else { 0xff });
        }
        Scalar::from_bytes_mod_order(bytes)
    }

    #[test]
    fn digits_are_those_of_a_non_adjacent_form() {
        for scalar in scalars(&mut Rng::with_seed(1), 5_000) {
            let digits = digits(&scalar);
            let mut sum = Scalar::ZERO;
            for digit in digits.into_iter().rev() {
                let value = Scalar::from(digit.unsigned_abs());
                sum = sum + sum + if digit < 0 { -value } else { value };
            }
            assert_eq!(sum, scalar);
            // The digits are those of the number itself, not of one that is equal modulo the order: the sum of the upper
            // ones cannot be negative or exceed the scalar by more than one unit.
            assert_eq!(whole(&digits), *scalar.as_bytes());

            let mut next = 0;
            for (place, digit) in digits.into_iter().enumerate().filter(|(_, digit)| *digit != 0) {
                assert!(digit % 2 != 0 && digit.unsigned_abs() < 32, "{digit}");
                assert!(place >= next, "{place}");
                next = place + WIDTH;
            }
        }
    }

    /// Adds up digits as an integer of 256 bits.
    fn whole(digits: &[i8; PLACES]) -> [u8; 32] {
        let mut bits = [0_i32; PLACES];
        for (place, digit) in digits.iter().enumerate() {
            bits[place] += i32::from(*digit);
        }
        let mut bytes = [0; 32];
        let mut carry = 0;
        for (place, bit) in bits.into_iter().enumerate() {
            let value = bit + carry;
            bytes[place / 8] |= u8::from(value.rem_euclid(2) == 1) << (place % 8);
            carry = value.div_euclid(2);
        }
        assert_eq!(carry, 0, "the number fits into 256 bits");
        bytes
    }

    #[test]
    fn entries_are_multiples_of_the_point() {
        // The last one has a component of low order.
        for point in [ED25519_BASEPOINT_POINT, EIGHT_TORSION[1], ED25519_BASEPOINT_POINT + EIGHT_TORSION[1]] {
            let multiples = Multiples::of(&point);
            let mut power = point;
            for row in &multiples.rows {
                let mut multiple = power;
                for entry in row {
                    assert_eq!(*entry, multiple);
                    multiple = multiple + power + power;
                }
                power *= Scalar::from(1_u32 << STEP);
            }
            assert_eq!(multiples.rows.len(), 16);
        }
    }

    #[test]
    fn sums_of_products_are_those_of_the_curve() {
        let mut random = Rng::with_seed(2);
        let point = ED25519_BASEPOINT_POINT * random_scalar(&mut random) + EIGHT_TORSION[3];
        let (base, multiples) = (Multiples::of(&ED25519_BASEPOINT_POINT), Multiples::of(&point));
        let scalars = scalars(&mut random, 1_000);
        for one in &scalars {
            let other = random.choice(&scalars).expect("a scalar");
            assert_eq!(
                sum_of_products([(&base, one), (&multiples, other)]),
                EdwardsPoint::mul_base(one) + point * other
            );
        }
    }
}
