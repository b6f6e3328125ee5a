FROM mambaorg/micromamba:2-debian12-slim
USER root
ENV PATH=/opt/conda/bin:$PATH
RUN micromamba install -y -n base -c conda-forge python=3.11 pip && micromamba clean -y -a
RUN micromamba install -y -n base -c=pytorch -c=conda-forge pytorch=2.4 && micromamba clean -y -a
RUN python -m pip install --no-cache-dir six
