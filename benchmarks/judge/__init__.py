"""The judge of a watch and of a smoke phase's questions, over simulations whose truth is known."""
