// filters/budget.py: the threshold moves so that the share of the inputs that is kept is held.
export class BudgetControl {
  constructor(budget) {
    this.budget = budget;
    this.reset();
  }

  reset() {
    this.level = this.budget.reserve / 2;
  }

  threshold(learnt) {
    const { reserve, step } = this.budget;
    if (this.level < 1) return Infinity;
    const full = Math.min(this.level / reserve, 1 - 0.5 / reserve);
    return learnt + step * Math.log((1 - full) / full);
  }

  note(sent) {
    const level = this.level + this.budget.share - (sent ? 1 : 0);
    this.level = Math.min(Math.max(level, 0), this.budget.reserve);
  }
}
