//! Owns clearing a thread's vector registers: what was last copied, encrypted or compared lies there until something else
//! needs them, and a core dump holds the registers of every thread.
#![allow(unsafe_code)]

/// Clears the vector registers of this thread, for a moment at which it has nothing to do. Costs some twenty
/// instructions. On processors other than x86-64 it does nothing.
#[inline]
pub fn clear_registers() {
    #[cfg(target_arch = "x86_64")]
    x86_64::clear();
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    /// One instruction for each of the registers that VZEROALL leaves (Intel SDM, volume 2).
    macro_rules! clear_upper {
        ($($number:literal)*) => {
            asm!(
                $(concat!("vpxord zmm", $number, ", zmm", $number, ", zmm", $number),)*
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags)
            )
        };
    }

    #[inline]
    pub(super) fn clear() {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has these registers; the compiler knows that they are written to.
            unsafe { clear_upper!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31) };
        }
        if is_x86_feature_detected!("avx") {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "vzeroall",
                    clobber_abi("C"),
                    options(nomem, nostack, preserves_flags)
                )
            };
        } else {
            clear_lower();
        }
    }

    #[cold]
    fn clear_lower() {
        macro_rules! each {
            ($($number:literal)*) => {
                // SAFETY: every processor of this kind has these registers; the compiler knows that they are written to.
                unsafe {
                    asm!(
                        $(concat!("pxor xmm", $number, ", xmm", $number),)*
                        clobber_abi("C"),
                        options(nomem, nostack, preserves_flags)
                    )
                }
            };
        }
        each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// What a register holds behind the call, of one that all processors have and of one that few have.
        #[test]
        fn nothing_is_left() {
            // The first call asks the processor what it has, and uses registers for that.
            clear();
            let pattern = [0xa5u8; 16];
            let mut found = [0xffu8; 32];
            // SAFETY: reads 16 bytes and writes 16 bytes of the arrays; a call between them keeps the stack as it is.
            unsafe {
                asm!(
                    "movdqu xmm9, [{pattern}]",
                    pattern = in(reg) pattern.as_ptr(),
                    out("xmm9") _,
                    options(nostack)
                );
                clear();
                asm!(
                    "movdqu [{found}], xmm9",
                    found = in(reg) found.as_mut_ptr(),
                    options(nostack)
                );
            }
            assert_eq!(found[..16], [0; 16]);
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                // SAFETY: as above, of a register that this processor has.
                unsafe {
                    asm!(
                        "vmovdqu64 xmm20, [{pattern}]",
                        pattern = in(reg) pattern.as_ptr(),
                        clobber_abi("C"),
                        options(nostack)
                    );
                    clear();
                    asm!(
                        "vmovdqu64 [{found}], xmm20",
                        found = in(reg) found[16..].as_mut_ptr(),
                        options(nostack)
                    );
                }
                assert_eq!(found[16..], [0; 16]);
            }
        }
    }
}
