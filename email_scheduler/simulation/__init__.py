"""A simulation: every day is planned, what is due is sent, contacts react; all in memory."""

from email_scheduler.simulation.days import Simulation, simulate
from email_scheduler.simulation.settled_emails import LATE
from email_scheduler.simulation.simulated_tables import Reactions
from email_scheduler.simulation.simulation_figures import SimulationFigures, figures_of, write_counts

__all__ = ["LATE", "Reactions", "Simulation", "SimulationFigures", "figures_of", "simulate", "write_counts"]
