"""Operations on masks in millimetres: grids, connected components."""
