/* SPDX-License-Identifier: MIT */

/*
 * The page and its policy, as text that ends with NUL.  The assembler finds
 * them in the build folder.
 */

	.section .rodata

	.global board_page
	.type board_page, %object
board_page:
	.incbin "page.html"
	.byte 0

	.global board_policy
	.type board_policy, %object
board_policy:
	.incbin "policy"
	.byte 0

	.section .note.GNU-stack, "", %progbits
