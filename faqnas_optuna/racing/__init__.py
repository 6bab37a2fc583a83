"""Races: training of all circuits of a space with successive elimination, and certified fronts."""
