"""A simulation: every day is planned, what is due is sent, contacts react; all in memory."""

from email_scheduler.operations.simulation.days import Simulation, simulate
from email_scheduler.operations.simulation.reactions import Reactions

__all__ = ["Reactions", "Simulation", "simulate"]
